"""A server that answers as a test tells it to, over real sockets: statuses, resets, silence, half a body."""

from __future__ import annotations

import json
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from irkit.adapters.kubernetes import KubernetesCluster, connect
from irkit.settings import Settings
from tests.clocks import StepClock


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: Mapping[str, str]  # names in lower case; the last of a name
    body: bytes
    peer: tuple[str, int]
    repeated: list[tuple[str, str]]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Scene = Callable[[Request, socket.socket], bool]  # whether the connection stays


def answer(status: int = 200, body: object = None, headers: Mapping[str, str] | None = None, *, raw: bytes | None = None) -> Scene:
    """A whole answer. ``body`` is sent as JSON; ``raw`` as it is."""

    def play(request: Request, sock: socket.socket) -> bool:
        data = raw if raw is not None else json.dumps({} if body is None else body).encode()
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(data)}", *(f"{k}: {v}" for k, v in (headers or {}).items()), "", ""]
        sock.sendall("\r\n".join(lines).encode() + data)
        return (headers or {}).get("Connection") != "close"

    return play


def status(code: int, message: str, reason: str = "", headers: Mapping[str, str] | None = None, **more: object) -> Scene:
    """An error as an API server words it."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason, "code": code, **more}
    return answer(code, body, headers)


def chunked(*pieces: bytes, end: bool = True, wait: Callable[[], object] | None = None) -> Scene:
    """A chunked answer; without ``end`` it breaks off after the pieces, with ``wait`` only when that returns."""

    def play(request: Request, sock: socket.socket) -> bool:
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces:
            sock.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        if wait is not None:
            wait()
        if end:
            sock.sendall(b"0\r\n\r\n")
        return end

    return play


def events(*objects: dict[str, Any], wait: Callable[[], object] | None = None, end: bool = True) -> Scene:
    return chunked(*(json.dumps(o).encode() + b"\n" for o in objects), end=end, wait=wait)


def reset(after: bytes = b"") -> Scene:
    """Some bytes, then RST instead of FIN."""

    def play(request: Request, sock: socket.socket) -> bool:
        sock.sendall(after)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    return play


def silence(until: threading.Event) -> Scene:
    def play(request: Request, sock: socket.socket) -> bool:
        until.wait(20)
        return False

    return play


@dataclass
class Scripted:
    """Plays the scenes in the order of the requests; the last one again and again. A context manager."""

    scenes: tuple[Scene, ...]
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while not self._stop.is_set():
            if select.select([self._listener], [], [], 0.05)[0]:
                sock, _ = self._listener.accept()
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            if self.tls is not None:
                sock.settimeout(5)
                sock = self.tls.wrap_socket(sock, server_side=True)
            self._converse(sock)
        except OSError:
            pass  # the client went away, which some tests want
        finally:
            sock.close()

    def _converse(self, sock: socket.socket) -> None:
        pending = b""
        while not self._stop.is_set():
            sock.settimeout(0.05)
            try:
                piece = sock.recv(65536)
            except TimeoutError:
                continue
            if not piece:
                return
            pending += piece
            sock.settimeout(10)
            if self.tls is None and pending.startswith(b"\x16"):  # a TLS handshake, which Go's server answers so
                sock.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTPS request to an HTTP server.\n")
                return
            while (parsed := _parse(pending, sock.getpeername())) is not None:
                request, pending = parsed
                with self._lock:
                    self.requests.append(request)
                    scene = self.scenes[min(len(self.requests), len(self.scenes)) - 1]
                if not scene(request, sock):
                    return


def _parse(data: bytes, peer: tuple[str, int]) -> tuple[Request, bytes] | None:
    head, separator, rest = data.partition(b"\r\n\r\n")
    if not separator:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    headers = dict(pairs)
    length = int(headers.get("content-length", "0"))
    if len(rest) < length:
        return None
    method, target, _ = first.split(" ")
    return Request(method, target, headers, rest[:length], peer, pairs), rest[length:]


def kubeconfig(directory: Path, server: str, *, cluster: Mapping[str, object] | None = None, user: Mapping[str, object] | None = None) -> Path:
    """A kubeconfig of one context, ``here``, as JSON (which is YAML)."""
    file = directory / "kubeconfig"
    file.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": server, **(cluster or {})}}],
        "users": [{"name": "me", "user": dict(user or {"token": "t0ken"})}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": "shop"}}],
    }))  # fmt: skip
    return file


def cluster_at(
    directory: Path, server: str, *, cluster: Mapping[str, object] | None = None, user: Mapping[str, object] | None = None,
    clock: StepClock | None = None, timeout: float = 5.0, budget: float = 30.0, page: int = 500, environ: Mapping[str, str] | None = None,
) -> KubernetesCluster:  # fmt: skip
    settings = Settings(kubeconfig=str(kubeconfig(directory, server, cluster=cluster, user=user)), request_timeout=timeout, retry_budget=budget)
    return connect(settings, environ or {}, clock=clock or StepClock(), page=page)
