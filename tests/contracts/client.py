"""Plain HTTPS to an API server: what is asked and what is answered, with no client library in between."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import urllib3
import yaml

Obj = dict[str, Any]
T = TypeVar("T")
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True)
class Reply:
    status: int
    content_type: str
    data: bytes

    @property
    def json(self) -> Obj:
        found: Obj = json.loads(self.data)
        return found

    def ok(self, status: int = 200) -> Obj:
        """The document of a reply that must be a success."""
        assert self.status == status, self.data.decode(errors="replace")[:1000]
        return self.json


class Api:
    """One user's way to one cluster, from a kubeconfig with a bearer token. ``agent`` is the User-Agent."""

    def __init__(self, kubeconfig: Path, scratch: Path, agent: str = "irkit/contract") -> None:
        document = yaml.safe_load(kubeconfig.read_text())
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        ca = scratch / f"{kubeconfig.name}.ca.pem"
        ca.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
        self._url = cluster["server"]
        self._pool = urllib3.PoolManager(ca_certs=str(ca), retries=False, timeout=30)
        self._headers = {"Authorization": f"Bearer {user['token']}", "User-Agent": agent}

    def send(self, method: str, path: str, body: Any = None, *, type: str = "application/json", accept: str = "application/json") -> Reply:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {**self._headers, "Accept": accept, **({"Content-Type": type} if data is not None else {})}
        answer = self._pool.request(method, self._url + path, body=data, headers=headers)
        return Reply(answer.status, answer.headers.get("Content-Type", "").partition(";")[0], answer.data)

    def get(self, path: str) -> Obj:
        return self.send("GET", path).ok()

    def create(self, path: str, body: Obj) -> Obj:
        return self.send("POST", path, body).ok(201)

    def patch(self, path: str, body: Any, type: str = MERGE) -> Obj:
        return self.send("PATCH", path, body, type=type).ok()

    def watch(self, path: str) -> Iterator[Obj]:
        """The events of a watch, until the server ends it."""
        answer = self._pool.request("GET", self._url + path, headers=self._headers, preload_content=False)
        try:
            assert answer.status == 200, answer.data.decode(errors="replace")
            rest = b""
            for part in answer.stream(65536):
                *lines, rest = (rest + part).split(b"\n")
                yield from (json.loads(line) for line in lines if line)
        finally:
            answer.close()

    def stream(self, path: str) -> Generator[bytes, None, None]:
        """The lines of an answer as they come, without their newlines, until the server ends it or the caller is done."""
        answer = self._pool.request("GET", self._url + path, headers=self._headers, preload_content=False)
        try:
            assert answer.status == 200, answer.data.decode(errors="replace")
            rest = b""
            for part in answer.stream(65536):
                *lines, rest = (rest + part).split(b"\n")
                yield from lines
        finally:
            answer.close()


def until(attempt: Callable[[], T | None], what: str, seconds: float = 15) -> T:
    """What ``attempt`` gives as soon as it gives something."""
    end = time.monotonic() + seconds
    while True:
        found = attempt()
        if found:
            return found
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.02)
