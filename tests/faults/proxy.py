"""A proxy between a client and an API server that records every request, and does harm where a test says so.

    with Proxy(plane.admin_kubeconfig) as proxy:
        proxy.when(nth(3), before(Kill()))                       # the client is killed, and request 3 is never made
        proxy.when(nth(4), after(Kill()))                        # it is made and answered, and the client never knows
        proxy.when(writes, after(Cut()), times=1)                # the first write happens; its answer is lost
        proxy.when(lists("pods"), before(Answer(503)), times=2)  # harm.py has them all
        with subprocess.Popen([..., "--kubeconfig", proxy.kubeconfig]) as client:
            proxy.victim = client.pid

TLS both ways: the proxy's certificate is of a CA of its own, made anew each time. Credentials are passed on as they come (bearer
token); where the given kubeconfig has a client certificate, the proxy presents it upstream, and its own kubeconfig has a token
that means nothing.

``Proxy(kubeconfig, vault=…)`` also stands before the Vault of a second kubeconfig, at the same address: whatever asks for ``/v1/``. So
the requests to both are counted together, in the order in which they come.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import signal
import socket
import ssl
import tempfile
import threading
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import yaml

from irkit.sandbox import tls
from tests.controlplane.cluster import kubeconfig
from tests.faults.forward import Forwarder
from tests.faults.harm import Match, Request, Timed


@dataclass
class _Rule:
    match: Match
    timed: Timed
    times: int


class Upstream:
    """The API server of a kubeconfig (its current context), with its client certificate where it has one."""

    def __init__(self, path: Path, work: Path) -> None:
        document = yaml.safe_load(path.read_text())
        context = next(c["context"] for c in document["contexts"] if c["name"] == document["current-context"])
        cluster = next(c["cluster"] for c in document["clusters"] if c["name"] == context["cluster"])
        user = next(u["user"] for u in document["users"] if u["name"] == context["user"])
        self.namespace: str = context.get("namespace", "")
        self.token: str = user.get("token", "")  # empty: by certificate
        self.where = urlsplit(cluster["server"])
        self.tls = ssl.create_default_context(cafile=_material(cluster, "certificate-authority", path, work))
        if certificate := _material(user, "client-certificate", path, work):
            self.tls.load_cert_chain(certificate, _material(user, "client-key", path, work))

    def connect(self) -> http.client.HTTPConnection:
        assert self.where.hostname
        if self.where.scheme == "http":
            return http.client.HTTPConnection(self.where.hostname, self.where.port, timeout=300)
        return http.client.HTTPSConnection(self.where.hostname, self.where.port, context=self.tls, timeout=300)


def _material(entry: dict[str, Any], key: str, beside: Path, work: Path) -> str | None:
    if data := entry.get(f"{key}-data"):
        (work / key).write_bytes(base64.b64decode(data))
        return str(work / key)
    return str(beside.parent / entry[key]) if key in entry else None


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what this is for."""


class Proxy:
    """See the module. ``requests`` are all requests so far; ``victim`` is whom `Kill` kills."""

    def __init__(self, upstream: Path, vault: Path | None = None) -> None:
        self._work = tempfile.TemporaryDirectory(prefix="irkit-proxy-")
        work = Path(self._work.name)
        self.upstream = Upstream(upstream, work)
        self._vault = Upstream(vault, work) if vault else None
        self.requests: list[Request] = []
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()
        self._victim: int | None = None
        self._named = threading.Event()
        self.closing = threading.Event()
        self.open: set[socket.socket] = set()
        identity = tls.make()
        self.ca = work / "ca.crt"
        self.ca.write_bytes(identity.ca)
        self._server = _Server(("127.0.0.1", 0), lambda *arguments: Forwarder(self, *arguments))
        self._server.socket = tls.context(identity).wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self._server.server_port}"
        self.kubeconfig = work / "kubeconfig"
        kubeconfig(self.kubeconfig, self.url, self.ca, {"token": self.upstream.token or "by-certificate"})

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.closing.set()
        self._server.shutdown()
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()
        self._work.cleanup()

    @property
    def victim(self) -> int | None:
        return self._victim

    @victim.setter
    def victim(self, pid: int) -> None:
        self._victim = pid
        self._named.set()

    def behind(self, target: str) -> Upstream:
        """Whom a request for this path is for."""
        return self._vault if self._vault and target.startswith("/v1/") else self.upstream

    def when(self, match: Match, timed: Timed, *, times: int = 1_000_000) -> None:
        """Do this to each request that matches, ``times`` times. The first rule that matches counts."""
        self._rules.append(_Rule(match, timed, times))

    def heal(self) -> None:
        """No harm from here on."""
        self._rules.clear()

    # what the forwarder calls, from many threads

    def record(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[Request, Timed | None]:
        """Number the request, and choose what is done to it."""
        url = urlsplit(target)
        with self._lock:
            request = Request(len(self.requests), method, url.path, dict(parse_qsl(url.query, keep_blank_values=True)), headers, body)
            self.requests.append(request)
            for rule in self._rules:
                if rule.times and rule.match(request):
                    rule.times -= 1
                    return request, rule.timed
        return request, None

    def kill(self, number: int = signal.SIGKILL) -> None:
        assert self._named.wait(10), "nobody said whom to kill: set proxy.victim"
        assert self._victim
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._victim, number)
