"""HTTPS around the router."""

from __future__ import annotations

import select
import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.utils import format_datetime

import msgspec

from irkit.sandbox import rbac
from irkit.sandbox.api.call import Answer, Call, read
from irkit.sandbox.api.router import Router
from irkit.sandbox.audit import Audit, Stage
from irkit.sandbox.clock import micro
from irkit.sandbox.failures import Failure, unauthorized
from irkit.sandbox.https import Handler, Loopback, Unreadable
from irkit.sandbox.rbac import User
from irkit.sandbox.store import Store
from irkit.sandbox.tape import Tape, answered

CHUNK = 64 * 1024
HANG_UP = 5
"""Seconds that a client has to close a connection after the last word."""
BODY_LIMIT = 3 * 1024 * 1024  # as the API server's


class Server(Loopback):
    def __init__(self, store: Store, router: Router, audit: Audit, context: ssl.SSLContext, authenticate: Callable[[str], User | None],
                 tape: Tape | None = None) -> None:  # fmt: skip
        super().__init__(_Handler, context, "sandbox-api")
        self.store, self.router, self.audit, self.authenticate, self.tape = store, router, audit, authenticate, tape


class _Handler(Handler):
    server: Server
    _caught_up = False  # whether the client was sent all that there was to send

    def date_time_string(self, timestamp: float | None = None) -> str:
        return format_datetime(self.server.store.now(), usegmt=True)

    def _serve(self) -> None:
        received = self.server.audit.begin()
        call: Call | None = None
        try:
            call = self._call()
            call = self._authenticated(call)
            answer = self._answered(call, received)
        except Failure as failure:
            answer = Answer(failure.status(), failure.code)
            if call is not None:
                self._record(call, received, answer.code, "ResponseComplete")
        except Unreadable:
            self.close_connection = True
            return
        self._caught_up = False
        try:
            self._send(answer)
            self._caught_up = True
        except OSError:
            self.close_connection = True
        if call is not None and call.streams:
            broken = call.subresource == "log" and not self._caught_up
            self._record(call, received, answer.code, "Panic" if broken else "ResponseComplete")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _answered(self, call: Call, received: str) -> Answer:
        """In the log before it is sent, so that whoever has the answer finds it there."""
        server = self.server
        if server.tape and call.method != "GET":
            with server.tape.turn(call) as moment:
                return answered(call, micro(moment), server.router, server.audit)
        try:
            answer = server.router.answer(call)
        except Failure as failure:
            answer = Answer(failure.status(), failure.code)
        self._record(call, received, answer.code, "ResponseStarted" if call.streams else "ResponseComplete")
        return answer

    def _record(self, call: Call, received: str, code: int, stage: Stage) -> None:
        if self.server.tape is None:
            self.server.audit.record(call, received, code, stage)
            return
        with self.server.tape.aside(call, received, code, stage):
            self.server.audit.record(call, received, code, stage)

    def _call(self) -> Call:
        body = self.body(BODY_LIMIT)
        if body is None:
            raise Failure(413, "RequestEntityTooLarge", f"Request entity too large: limit is {BODY_LIMIT}")
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
        if answer.code != 101:
            self.send_header("Content-Type", answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if isinstance(body, bytes):
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()
            return
        if answer.code == 101:
            self._switched(body)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._stream(body, eager=answer.eager)

    def _switched(self, parts: Iterator[bytes]) -> None:
        """Another protocol from here on: all that there is to say, and then silence until the client hangs up."""
        self.close_connection = True
        self.end_headers()
        for part in parts:
            self.wfile.write(part)
        self.wfile.flush()
        self.connection.settimeout(HANG_UP)
        while self.rfile.read1(CHUNK):
            continue

    def _stream(self, parts: Iterator[bytes], *, eager: bool) -> None:
        """``eager``: each part is one that somebody waits for; else they are gathered into larger chunks."""
        self.wfile.flush()
        gathered = bytearray()
        for part in parts:
            gathered += part
            if not part:  # who waits for more has all that there is
                self._caught_up = True
                if self._gone():
                    raise BrokenPipeError
            if (eager and gathered) or len(gathered) >= CHUNK:
                self._chunk(bytes(gathered))
                gathered.clear()
        if gathered:
            self._chunk(bytes(gathered))
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _gone(self) -> bool:
        """Whether the client has closed the connection, or sends what nobody asked for."""
        return bool(select.select([self.connection], [], [], 0)[0])

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()
