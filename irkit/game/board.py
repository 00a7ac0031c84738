"""A game for its audience: one page on 127.0.0.1 that shows the picture and asks for the next one every half second.

It can't be reached from outside, only by who knows its path, and not by a page of another name that resolves to here. It
reads only, asks for nothing from elsewhere, and shows what the cluster says as text.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import msgspec

from irkit.errors import UsageError
from irkit.model.picture import Picture

ADDRESS = "127.0.0.1"
_ASSETS = Path(__file__).with_name("assets")
_PATIENCE = 10.0  # seconds for a request to come in


class Board:
    """Served from entering to leaving the ``with`` block at ``url``. ``port`` 0: a free one.

    Raises UsageError where the port can't be had.
    """

    def __init__(self, picture: Callable[[], Picture], port: int = 0) -> None:
        try:
            self._server = _Server((ADDRESS, port), _Handler)
        except OverflowError:
            raise UsageError(f"--port is a number from 0 to 65535, not {port}", next="irkit rehearse --board") from None
        except OSError as error:
            why = "is taken" if error.errno == errno.EADDRINUSE else f"can't be used: {error.strerror}"
            raise UsageError(f"port {port} of {ADDRESS} {why}; without --port a free one is found", next="irkit rehearse --board") from None
        self._server.picture, self._server.secret = picture, secrets.token_urlsafe(18)
        self._server.page, self._server.policy = page()
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="board", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self._server.server_port}/{self._server.secret}/"


def page() -> tuple[bytes, str]:
    """The page, and its Content-Security-Policy: its own style sheet and script, by their hashes, and nothing else."""
    style, script, text = ((_ASSETS / f"board.{suffix}").read_text("utf-8") for suffix in ("css", "js", "html"))
    allowed = {name: base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for name, part in (("style", style), ("script", script))}
    policy = (f"default-src 'none'; style-src 'sha256-{allowed['style']}'; script-src 'sha256-{allowed['script']}'; connect-src 'self'; "
              "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")  # fmt: skip
    return text.replace("@style@", style).replace("@script@", script).encode(), policy


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    picture: Callable[[], Picture]
    secret: str
    page: bytes
    policy: str

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = _PATIENCE

    def do_GET(self) -> None:
        if self.headers.get("Host", "") not in {f"{name}:{self.server.server_port}" for name in (ADDRESS, "localhost")}:
            self._answer(421)
            return
        secret, _, name = self.path.removeprefix("/").partition("/")
        known = hmac.compare_digest(secret.encode("utf-8", "replace"), self.server.secret.encode())
        if known and self.path.endswith("/") and not name:
            self._answer(200, self.server.page, "text/html; charset=utf-8")
        elif known and name == "picture.json":
            self._answer(200, msgspec.json.encode(self.server.picture()), "application/json")
        else:
            self._answer(404)

    do_HEAD = do_GET

    def _answer(self, code: int, body: bytes = b"", kind: str = "text/plain") -> None:
        self.send_response(code)
        for name, value in {
            "Content-Type": kind, "Content-Length": str(len(body)), "Content-Security-Policy": self.server.policy, "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
        }.items():  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Whatever the parser of requests refuses, without its words: they repeat what was sent."""
        self.close_connection = True
        self.requestline, self.command = "", getattr(self, "command", None) or "GET"
        self.request_version = "HTTP/1.1"
        self._answer(code)

    def log_message(self, format: str, *args: Any) -> None:
        """The terminal is the game's."""

    def version_string(self) -> str:
        return "irkit-board"
