"""HTTPS on loopback: one thread a connection, HTTP/1.1 with keep-alive, cut at the end."""

from __future__ import annotations

import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Loopback(ThreadingHTTPServer):
    """Serves until `stop`; then open connections are cut, too."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext, name: str) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self._context = context
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name=name, daemon=True)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        with self._guard:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread, so that a slow handshake keeps nobody else waiting."""
        request.settimeout(10)
        try:
            connection = self._context.wrap_socket(request, server_side=True)
        except (OSError, ValueError):
            return
        connection.settimeout(None)
        with self._guard:
            self._open.add(connection)
        try:
            super().finish_request(connection, client_address)
        finally:
            with self._guard:
                self._open.discard(connection)
            connection.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """The audit log says it."""

    def version_string(self) -> str:
        return "irkit-rehearsal"

    def body(self, limit: int) -> bytes | None:
        """The request's body; None where it is larger than ``limit`` bytes. Raises Unreadable."""
        length = self.headers.get("Content-Length") or "0"
        if not length.isdecimal() or self.headers.get("Transfer-Encoding"):
            raise Unreadable
        if int(length) > limit:
            self.close_connection = True
            return None
        return self.rfile.read(int(length))


class Unreadable(Exception):
    """A request whose end can't be found: no answer can be told from the next."""
