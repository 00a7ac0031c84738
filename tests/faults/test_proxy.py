"""The fault proxy passes everything on unchanged, and does the harm it was asked for, at the place it was asked for."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from irkit.sandbox import tls
from tests.controlplane.cluster import kubeconfig
from tests.controlplane.running import Running
from tests.faults.harm import Answer, Cut, Delay, Kill, after, anything, before, lists, nth, writes
from tests.faults.proxy import Proxy

LOG = b"".join(b"line %d\n" % n for n in range(50_000))


class Api(BaseHTTPRequestHandler):
    """An API server as small as can be: says what it was asked; logs are chunked."""

    protocol_version = "HTTP/1.1"
    asked: list[tuple[str, str, str, bytes]]

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.asked.append((self.command, self.path, self.headers.get("Authorization", ""), body))
        if self.path.endswith("/log"):
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for at in range(0, len(LOG), 10_000):
                part = LOG[at : at + 10_000]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
            return
        if "watch=1" in self.path:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.flush()
            self.rfile.read(1)  # until the other end goes away
            self.close_connection = True
            return
        self.send_response(201 if self.command == "POST" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = answer

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def asked() -> list[tuple[str, str, str, bytes]]:
    return []


@pytest.fixture
def proxy(tmp_path: Path, asked: list[tuple[str, str, str, bytes]]) -> Iterator[Proxy]:
    identity = tls.make()
    (tmp_path / "ca.crt").write_bytes(identity.ca)
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Api,), {"asked": asked})) as server:
        server.socket = tls.context(identity).wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        kubeconfig(tmp_path / "kubeconfig", f"https://127.0.0.1:{server.server_port}", tmp_path / "ca.crt", {"token": "t0ken"})
        with Proxy(tmp_path / "kubeconfig") as proxy:
            yield proxy
        server.shutdown()


@pytest.fixture
def client(proxy: Proxy) -> Iterator[http.client.HTTPSConnection]:
    trusted = ssl.create_default_context(cafile=proxy.ca)
    connection = http.client.HTTPSConnection("127.0.0.1", int(proxy.url.rpartition(":")[2]), context=trusted, timeout=10)
    yield connection
    connection.close()


def ask(client: http.client.HTTPSConnection, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    client.request(method, path, body=body or None, headers={"Authorization": "Bearer t0ken"})
    answer = client.getresponse()
    return answer.status, answer.read()


def test_it_passes_on_and_records(proxy: Proxy, client: http.client.HTTPSConnection, asked: list[object]) -> None:
    assert ask(client, "POST", "/api/v1/namespaces/a%2Fb/pods?dryRun=All&fieldManager=irkit", b"{}") == (201, b"{}")
    assert ask(client, "GET", "/api/v1/namespaces/a/pods/p/log") == (200, LOG)
    assert asked[0] == ("POST", "/api/v1/namespaces/a%2Fb/pods?dryRun=All&fieldManager=irkit", "Bearer t0ken", b"{}")
    first, second = proxy.requests
    assert (first.number, first.method, first.path, first.query) == (
        0, "POST", "/api/v1/namespaces/a%2Fb/pods", {"dryRun": "All", "fieldManager": "irkit"},
    )  # fmt: skip
    assert (first.body, first.status, first.dry_run, writes(first)) == (b"{}", 201, True, False)
    assert (second.number, second.status) == (1, 200)


@pytest.mark.parametrize(("when", "happened"), [(before, False), (after, True)])
def test_a_cut_before_is_not_asked_and_after_is(
    proxy: Proxy, client: http.client.HTTPSConnection, asked: list[object], when: object, happened: bool
) -> None:
    assert callable(when)
    proxy.when(writes, when(Cut()), times=1)
    with pytest.raises((ConnectionError, http.client.HTTPException, ssl.SSLError)):
        ask(client, "PATCH", "/api/v1/x", b"1")
    client.close()
    assert bool(asked) == happened
    assert (proxy.requests[0].status is not None) == happened
    assert ask(client, "PATCH", "/api/v1/x", b"2") == (200, b"2")


def test_a_cut_in_the_middle_of_a_body(proxy: Proxy, client: http.client.HTTPSConnection) -> None:
    proxy.when(nth(0), after(Cut(after_bytes=123_456)))
    client.request("GET", "/x/log")
    answer, got = client.getresponse(), b""
    with contextlib.suppress(ConnectionError, http.client.HTTPException, ssl.SSLError):
        while data := answer.read1():
            got += data
    assert LOG.startswith(got)
    assert 0 < len(got) <= 123_456 < len(LOG)


def test_after_the_answer_of_a_watch_is_once_it_has_begun(proxy: Proxy, client: http.client.HTTPSConnection, asked: list[object]) -> None:
    proxy.when(nth(0), after(Cut()))
    with pytest.raises((ConnectionError, http.client.HTTPException, ssl.SSLError)):
        ask(client, "GET", "/api/v1/pods?watch=1")
    assert len(asked) == 1
    assert proxy.requests[0].status == 200


def test_answers_of_its_own_and_delays(proxy: Proxy, client: http.client.HTTPSConnection, asked: list[object]) -> None:
    proxy.when(lists("pods"), before(Answer(429, b"later", {"Retry-After": "1"})), times=2)
    proxy.when(lists("nodes"), after(Answer(503)))
    proxy.when(lists("events"), before(Delay(0.3)))
    assert [ask(client, "GET", "/api/v1/pods")[0] for _ in range(3)] == [429, 429, 200]
    assert len(asked) == 1
    assert ask(client, "GET", "/api/v1/nodes")[0] == 503
    assert len(asked) == 2
    begun = time.monotonic()
    assert ask(client, "GET", "/api/v1/events")[0] == 200
    assert time.monotonic() - begun >= 0.3
    proxy.heal()
    assert ask(client, "GET", "/api/v1/nodes")[0] == 200


@pytest.mark.parametrize(("when", "happened"), [(before, False), (after, True)])
def test_it_kills_the_client(proxy: Proxy, asked: list[object], when: object, happened: bool) -> None:
    assert callable(when)
    proxy.when(anything, when(Kill()))
    program = f"import ssl, urllib.request as u; u.urlopen('{proxy.url}/x', context=ssl._create_unverified_context())"
    with subprocess.Popen([sys.executable, "-c", program]) as victim:
        proxy.victim = victim.pid
        assert victim.wait(10) == -9
    assert bool(asked) == happened


@pytest.mark.controlplane
@pytest.mark.parametrize("how", ["admin", "token", "viewer"])
def test_kubectl_works_through_it(control_plane: Running, namespace: str, how: str) -> None:
    with Proxy(getattr(control_plane, f"{how}_kubeconfig")) as proxy:
        made = control_plane.kubectl("create", "configmap", "x", "-n", namespace, kubeconfig=proxy.kubeconfig, check=how != "viewer")
        assert ("is forbidden" in made.stderr) == (how == "viewer")
        assert [r.path for r in proxy.requests if writes(r)] == [f"/api/v1/namespaces/{namespace}/configmaps"]
