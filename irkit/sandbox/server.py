"""HTTPS around the router: one thread a connection, HTTP/1.1 with keep-alive, on loopback alone."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from irkit.sandbox import rbac
from irkit.sandbox.api.call import Answer, Call, read
from irkit.sandbox.api.router import Router
from irkit.sandbox.audit import Audit
from irkit.sandbox.failures import Failure, unauthorized
from irkit.sandbox.rbac import User
from irkit.sandbox.store import Store

CHUNK = 64 * 1024
BODY_LIMIT = 3 * 1024 * 1024  # as the API server's


class Server(ThreadingHTTPServer):
    """Serves until `stop`; then open connections are cut, too."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, store: Store, router: Router, audit: Audit, context: ssl.SSLContext, authenticate: Callable[[str], User | None]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.store, self.router, self.audit, self.authenticate = store, router, audit, authenticate
        self._context = context
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="sandbox-api", daemon=True)

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


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """The audit log says it."""

    def version_string(self) -> str:
        return "irkit-rehearsal"

    def date_time_string(self, timestamp: float | None = None) -> str:
        return format_datetime(self.server.store.now(), usegmt=True)

    def _serve(self) -> None:
        received = self.server.audit.begin()
        call: Call | None = None
        try:
            call = self._call()
            call = self._authenticated(call)
            answer = self.server.router.answer(call)
        except Failure as failure:
            answer = Answer(failure.status(), failure.code)
        except _Unreadable:
            self.close_connection = True
            return
        streams = call is not None and call.streams
        if call is not None:  # before it is sent, so that whoever has the answer finds it in the log
            self.server.audit.record(call, received, answer.code, "ResponseStarted" if streams else "ResponseComplete")
        try:
            self._send(answer)
        except OSError:
            self.close_connection = True
        if call is not None and streams:
            self.server.audit.record(call, received, answer.code, "ResponseComplete")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _call(self) -> Call:
        length = self.headers.get("Content-Length") or "0"
        if not length.isdecimal() or self.headers.get("Transfer-Encoding"):
            raise _Unreadable
        if int(length) > BODY_LIMIT:
            self.close_connection = True
            raise Failure(413, "RequestEntityTooLarge", f"Request entity too large: limit is {BODY_LIMIT}")
        body = self.rfile.read(int(length))
        headers = {name.title(): value for name, value in self.headers.items()}
        return read(self.server.store.catalog, self.command, self.path, headers, body, rbac.ANONYMOUS)

    def _authenticated(self, call: Call) -> Call:
        scheme, _, token = call.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return call
        user = self.server.authenticate(token.strip()) if scheme.lower() == "bearer" else None
        if user is None:
            raise unauthorized()
        return replace(call, user=user)

    def _send(self, answer: Answer) -> None:
        body = answer.body
        if isinstance(body, dict):
            body = msgspec.json.encode(body)
        self.send_response(answer.code)
        self.send_header("Content-Type", answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if isinstance(body, bytes):
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._stream(body, eager=answer.content_type == "application/json")

    def _stream(self, parts: Iterator[bytes], *, eager: bool) -> None:
        """``eager``: each part is an event that somebody waits for; else they are gathered into larger chunks."""
        self.wfile.flush()
        gathered = bytearray()
        for part in parts:
            gathered += part
            if eager or len(gathered) >= CHUNK:
                self._chunk(bytes(gathered))
                gathered.clear()
        if gathered:
            self._chunk(bytes(gathered))
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()


class _Unreadable(Exception):
    """A request whose end can't be found: no answer can be told from the next."""
