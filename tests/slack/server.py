"""A Slack for tests: Socket Mode and the Web API on loopback, as strict as the real one, and a little stricter.

What a client does wrong is answered as Slack does, and kept in `Server.violations`, which a test must find empty. An event
goes to one of the connections of an app's token, is to be acknowledged within 3 s, once, and is sent again where the
connection ends first.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from tests.slack import limits, methods
from tests.slack.limits import Invalid, Obj
from tests.slack.websocket import WebSocket, accept

APP, BOT, TEAM = "xapp-1-A0APP-1-test", "xoxb-1-test", "T0TEAM"
LEAST = ("commands", "chat:write", "channels:read", "groups:read")
ACK = 3.0  # seconds
_ANSWERS = frozenset((
    "not_in_channel", "edit_window_closed", "channel_not_found", "thread_not_found", "message_not_found", "is_archived", "name_taken",
))  # fmt: skip
"""What a client may be told without having done anything wrong."""


@dataclass
class Ack:
    """How an event was acknowledged."""

    payload: Obj
    seconds: float
    connection: int


@dataclass
class _Pending:
    sent: float
    accepts: bool
    done: threading.Event = field(default_factory=threading.Event)
    ack: Ack | None = None


class Server:
    """Everything that Slack would know; a context manager. All times are seconds of the machine's monotonic clock."""

    def __init__(self, scopes: tuple[str, ...] = LEAST) -> None:
        self.team, self.scopes, self.tokens = TEAM, set(scopes), {"app": APP, "bot": BOT}
        self.channels: dict[str, Obj] = {c: {"id": c, "name": c.lower(), "is_member": True} for c in ("C0INC", "C0BAGS", "C0OPS")}
        self.messages: dict[tuple[str, str], Obj] = {}
        self.whispers: list[Obj] = []
        self.views: list[Obj] = []
        self.homes: dict[str, Obj] = {}
        self.files: dict[str, Obj] = {}
        self.triggers: dict[str, float] = {}
        self.calls: list[tuple[float, str]] = []
        self.violations: list[str] = []
        self.uploads = threading.Event()  # cleared: each waits
        self.uploads.set()
        self.down = False  # as when Slack is out: no answer but 503, no socket
        self.word = ""  # what every call is answered with, where it is not empty
        self._throttled: dict[str, tuple[int, float]] = {}  # by method: how many more are refused, and for how long each
        self._until: dict[str, float] = {}
        self._hooks: dict[str, tuple[float, int]] = {}
        self._sockets: dict[int, WebSocket] = {}
        self._pending: dict[str, _Pending] = {}
        self._tickets: set[str] = set()
        self._count, self._stamps, self.lock = itertools.count(1), itertools.count(1), threading.RLock()
        self._http = _Threads(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self.address = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for connection in list(self._sockets.values()):
            connection.close()
        self._http.shutdown()
        self._http.server_close()

    @staticmethod
    def now() -> float:
        return time.monotonic()

    def stamp(self) -> str:
        return f"1700000000.{next(self._stamps):06}"

    # what a test makes happen

    def connections(self, count: int = 1, timeout: float = 15.0) -> list[int]:
        """Wait for so many, and no more."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if len(live := [n for n, s in self._sockets.items() if s.open]) == count:
                return live
            time.sleep(0.005)
        raise AssertionError(f"{len(live)} connections, not {count}")

    def refresh(self) -> None:
        """Ask every connection to come anew, as Slack does every few hours."""
        for connection in [s for s in self._sockets.values() if s.open]:
            connection.send({"type": "disconnect", "reason": "refresh_requested", "debug_info": {}})

    def cut(self) -> None:
        """End every connection without a word."""
        for connection in list(self._sockets.values()):
            connection.close()

    def throttle(self, method: str, count: int, seconds: float) -> None:
        """Refuse the next calls of a method with 429. One that comes before its Retry-After is over is a violation."""
        with self.lock:
            self._throttled[method] = (count, seconds)

    def hook(self) -> str:
        """A response_url: 5 answers within 30 minutes."""
        identifier = str(next(self._count))
        self._hooks[identifier] = (time.monotonic(), 0)
        return f"{self.address}/hooks/{identifier}"

    def deliver(self, kind: str, payload: Obj, *, accepts: bool = True, attempt: int = 0, to: int | None = None) -> Ack:
        """Send an event to one connection; how it was acknowledged. Raises AssertionError where it was not, in 3 s."""
        envelope = f"e{next(self._count)}"
        pending = self._pending[envelope] = _Pending(time.monotonic(), accepts)
        live = [n for n, s in self._sockets.items() if s.open]
        assert live, "there is no connection"
        number = to if to is not None else live[next(self._count) % len(live)]
        document = {"envelope_id": envelope, "type": kind, "payload": payload, "accepts_response_payload": accepts}
        if attempt:
            document |= {"retry_attempt": attempt, "retry_reason": "timeout"}
        self._sockets[number].send(document)
        assert pending.done.wait(ACK), f"event {envelope} ({kind}) was not acknowledged within {ACK} s"
        assert pending.ack is not None
        return pending.ack

    # what clients do

    def acknowledged(self, number: int, document: Obj) -> None:
        envelope = str(document.get("envelope_id"))
        pending = self._pending.get(envelope)
        if pending is None or pending.ack is not None:
            self.violations.append(f"envelope {envelope} was acknowledged {'twice' if pending else 'and never sent'}")
            return
        payload = document.get("payload") or {}
        if payload and not pending.accepts:
            self.violations.append(f"envelope {envelope} takes no payload")
        try:
            if payload and "response_action" not in payload:
                _alone(payload)
        except Invalid as error:
            self.violations.append(f"acknowledgement of {envelope}: {error}")
        pending.ack = Ack(payload, time.monotonic() - pending.sent, number)
        pending.done.set()

    def api(self, method: str, token: str, body: Obj, form: bool) -> tuple[int, Obj, dict[str, str]]:
        """Status, answer, headers."""
        with self.lock:
            self.calls.append((time.monotonic(), method))
            if self.word:
                return 200, {"ok": False, "error": self.word}, {}
            if wait := self._waits(method):
                return 429, {"ok": False, "error": "ratelimited"}, {"Retry-After": f"{wait:.0f}"}
            if method == "apps.connections.open":
                return 200, self._opened(token), {}
            if token != self.tokens["bot"]:
                return 200, {"ok": False, "error": "invalid_auth"}, {}
            if method not in methods.SCOPES:
                self.violations.append(f"unknown method {method}")
                return 200, {"ok": False, "error": "unknown_method"}, {}
            needed = methods.SCOPES[method]
            if needed and not needed & self.scopes:
                return 200, {"ok": False, "error": "missing_scope", "needed": ",".join(needed), "provided": ",".join(self.scopes)}, {}
            if method in methods.FORM_ONLY and not form:
                self.violations.append(f"{method} takes no JSON")
                return 200, {"ok": False, "error": "invalid_arguments"}, {}
            try:
                return 200, {"ok": True, **methods.call(self, method, body)}, {"X-OAuth-Scopes": ",".join(sorted(self.scopes))}
            except Invalid as error:
                if error.word not in _ANSWERS:
                    self.violations.append(f"{method}: {error}")
                if error.word == "ratelimited":
                    return 429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "1"}
                return 200, {"ok": False, "error": error.word if error.word.isidentifier() else "invalid_arguments"}, {}

    def _waits(self, method: str) -> float:
        now = time.monotonic()
        if now < self._until.get(method, 0.0):
            self.violations.append(f"{method} was called {self._until[method] - now:.2f} s before Retry-After was over")
            return self._until[method] - now + 1
        count, seconds = self._throttled.get(method, (0, 0.0))
        if not count:
            return 0.0
        self._throttled[method] = (count - 1, seconds)
        self._until[method] = now + seconds - 0.05
        return seconds

    def _opened(self, token: str) -> Obj:
        if token != self.tokens["app"]:
            return {"ok": False, "error": "invalid_auth"}
        ticket = str(next(self._count))
        self._tickets.add(ticket)
        return {"ok": True, "url": f"{self.address.replace('http', 'ws')}/link/?ticket={ticket}"}

    def socket(self, ticket: str, connection: Any) -> None:
        """One connection, as long as it lasts; a ticket is good once."""
        with self.lock:
            if ticket not in self._tickets:
                self.violations.append("a ticket for a socket was used twice")
                return
            self._tickets.discard(ticket)
            number = next(self._count)
            live = WebSocket(connection)
        live.send({"type": "hello", "num_connections": len(self._sockets) + 1, "connection_info": {"app_id": "A0APP"},
                   "debug_info": {"host": "test", "approximate_connection_time": 18060}})  # fmt: skip
        self._sockets[number] = live
        while (document := live.receive()) is not None:
            self.acknowledged(number, document)

    def answered(self, identifier: str, body: Obj) -> int:
        """An answer to a response_url; the status."""
        with self.lock:
            made, used = self._hooks.get(identifier, (0.0, 99))
            if used >= 5 or time.monotonic() - made > 1800:
                self.violations.append("a response_url was used more than 5 times, or after 30 minutes")
                return 404
            self._hooks[identifier] = (made, used + 1)
            try:
                _alone(body)
            except Invalid as error:
                self.violations.append(f"response_url: {error}")
                return 400
            self.whispers.append({**body, "by": "url", "hook": identifier})
            return 200


@contextmanager
def strict(scopes: tuple[str, ...] = LEAST) -> Iterator[Server]:
    """That Slack, which must have nothing to complain of in the end."""
    with Server(scopes) as server:
        yield server
        assert server.violations == []


def _alone(body: Obj) -> None:
    """An answer that one person sees."""
    limits.message(body)
    if body.get("response_type") != "ephemeral" or body.get("replace_original"):
        raise Invalid("ephemeral", "an answer that the channel sees")


class _Threads(ThreadingHTTPServer):
    daemon_threads = True
    owner: Server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def _owner(self) -> Server:
        assert isinstance(self.server, _Threads)
        return self.server.owner

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path != "/link/" or self.headers.get("Upgrade") != "websocket" or self._owner.down:
            return self._answer(503 if self._owner.down else 404, b"{}")
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
                         + accept(self.headers["Sec-WebSocket-Key"]).encode() + b"\r\n\r\n")  # fmt: skip
        self.wfile.flush()
        self._owner.socket(dict(parse_qsl(parts.query)).get("ticket", ""), self.connection)
        self.close_connection = True
        return None

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self._owner.down:
            return self._answer(503, b"")
        where, _, what = self.path.lstrip("/").partition("/")
        if where == "api":
            form = not raw.startswith(b"{")
            body = dict(parse_qsl(raw.decode())) if form else json.loads(raw)
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if "token" in body:
                self._owner.violations.append("a token in a body")
            status, answer, headers = self._owner.api(what, token, body, form)
            return self._answer(status, json.dumps(answer).encode(), **headers)
        if self.headers.get("Authorization"):
            self._owner.violations.append(f"a token was sent to /{where}/")
        if where == "hooks":
            return self._answer(self._owner.answered(what, json.loads(raw)), b"ok")
        if where == "upload" and what in self._owner.files:
            self._owner.uploads.wait(30)
            self._owner.files[what]["content"] = raw
            return self._answer(200, b"OK")
        return self._answer(404, b"")

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""
