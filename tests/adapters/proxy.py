"""Small real proxies: HTTP CONNECT and SOCKS5."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Self


@dataclass
class Proxy:
    """Tunnels to where it is asked to, or always to ``target``. A context manager."""

    kind: str  # http | socks5
    target: tuple[str, int] | None = None
    answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n"
    heads: list[bytes] = field(default_factory=list)
    asked: list[tuple[str, int]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._cuts = 0
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

    def cut(self) -> None:
        """End all tunnels; new ones are served as before."""
        self._cuts += 1
        time.sleep(0.1)

    def _accept(self) -> None:
        while not self._stop.is_set():
            if select.select([self._listener], [], [], 0.05)[0]:
                sock, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(sock,), daemon=True))
                self._threads[-1].start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError, ValueError, IndexError):
            sock.settimeout(5)
            ask = self._http(sock) if self.kind == "http" else self._socks(sock)
            if ask is None:
                return
            self.asked.append(ask)
            with socket.create_connection(self.target or ask, 5) as far:
                if self.kind == "socks5":
                    sock.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
                self._pump(sock, far)

    def _http(self, sock: socket.socket) -> tuple[str, int] | None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(4096)
        self.heads.append(head)
        host, _, port = head.split()[1].decode().rpartition(":")
        sock.sendall(self.answer)
        return (host.strip("[]"), int(port)) if b" 200 " in self.answer else None

    def _socks(self, sock: socket.socket) -> tuple[str, int] | None:
        methods = sock.recv(262)[2:]
        if b"\x02" in methods:
            sock.sendall(b"\x05\x02")
            login = sock.recv(513)
            self.heads.append(login)
            sock.sendall(b"\x01" + (b"\x00" if login == b"\x01\x01u\x02pw" else b"\x01"))
        else:
            sock.sendall(b"\x05\x00")
        request = sock.recv(262)
        name = request[5 : 5 + request[4]].decode()
        return name, int.from_bytes(request[5 + request[4] :][:2], "big")

    def _pump(self, near: socket.socket, far: socket.socket) -> None:
        cuts = self._cuts
        while not self._stop.is_set() and cuts == self._cuts:
            for ready in select.select([near, far], [], [], 0.05)[0]:
                data = ready.recv(65536)
                if not data:
                    return
                (far if ready is near else near).sendall(data)
