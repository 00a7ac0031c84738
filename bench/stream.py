"""The least that fetches the logs of many pods at once: threads, one connection each, bytes to files. No hashes, no retries, nothing else.

stream.py KUBECONFIG NAMESPACE DIRECTORY THREADS     (http.client, the client certificate of the kubeconfig)
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import local
from urllib.parse import urlsplit


def main(kubeconfig: str, namespace: str, directory: str, threads: str) -> None:
    document = json.loads(Path(kubeconfig).read_text())
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    url, mine = urlsplit(cluster["server"]), local()
    tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile() as both:
        both.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
        both.flush()
        tls.load_cert_chain(both.name)

    def get(path: str) -> http.client.HTTPResponse:
        if not hasattr(mine, "connection"):
            mine.connection = http.client.HTTPSConnection(url.hostname or "", url.port, context=tls)
        mine.connection.request("GET", path)
        answer: http.client.HTTPResponse = mine.connection.getresponse()
        assert answer.status == 200, answer.read()
        return answer

    def fetch(name: str) -> None:
        answer = get(f"/api/v1/namespaces/{namespace}/pods/{name}/log?timestamps=true")
        with (Path(directory) / f"{name}.log").open("wb") as file:
            while data := answer.read(65536):
                file.write(data)

    names = [pod["metadata"]["name"] for pod in json.loads(get(f"/api/v1/namespaces/{namespace}/pods").read())["items"]]
    with ThreadPoolExecutor(int(threads)) as pool:
        list(pool.map(fetch, names))


if __name__ == "__main__":
    main(*sys.argv[1:])
