"""HTTPS around the Vault."""

from __future__ import annotations

import ssl
import threading
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from irkit.sandbox.https import Handler, Loopback, Unreadable
from irkit.sandbox.tape import Tape
from irkit.sandbox.vault.core import Vault
from irkit.sandbox.vault.messages import Asked, Refused, Told

_READING = ("GET", "HEAD", "LIST")
BODY_LIMIT = 32 * 1024 * 1024  # Vault's default max_request_size


class VaultServer(Loopback):
    def __init__(self, vault: Vault, context: ssl.SSLContext, tape: Tape | None = None) -> None:
        super().__init__(_Handler, context, "sandbox-vault")
        self.vault, self.tape = vault, tape
        self.over = threading.Event()

    def stop(self) -> None:
        self.over.set()
        super().stop()


class _Handler(Handler):
    server: VaultServer

    def _serve(self) -> None:
        try:
            asked = self._asked()
            told = self._answered(asked)
        except Refused as refused:
            told = refused.told
        except Unreadable:
            self.close_connection = True
            return
        while self.server.vault.hanging.is_set() and not self.server.over.wait(0.02):
            continue
        try:
            self._send(told)
        except OSError:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_LIST = _serve

    def _answered(self, asked: Asked) -> Told:
        """Reading a login of the database makes one."""
        tape = self.server.tape
        if tape is None or (asked.method in _READING and "/creds/" not in asked.path):
            return self.server.vault.answer(asked)
        with tape.vault(asked):
            told = self.server.vault.answer(asked)
            tape.handed(told.auth)
            return told

    def _asked(self) -> Asked:
        """Raises Refused, Unreadable."""
        raw = self.body(BODY_LIMIT)
        if raw is None:
            raise Refused(413, "request body too large")
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        if not path.startswith("/v1/"):
            raise Refused(404)
        query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip()
        namespace = self.headers.get("X-Vault-Namespace", "")
        return Asked(self.command, path[4:], _document(raw), self._token(), namespace, query, kind)

    def _token(self) -> str:
        scheme, _, bearer = self.headers.get("Authorization", "").partition(" ")
        return self.headers.get("X-Vault-Token") or (bearer.strip() if scheme.lower() == "bearer" else "")

    def _send(self, told: Told) -> None:
        document = told.body(self.server.vault.names.uid("request"))
        body = b"" if document is None else msgspec.json.encode(document) + b"\n"
        self.send_response(told.code)
        self.send_header("Cache-Control", "no-store")
        if body:
            self.send_header("Content-Type", "application/json")
        if told.code != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()


def _document(raw: bytes) -> dict[str, Any]:
    """Raises Refused 400."""
    if raw.strip() in (b"", b"null"):  # the second is what `bao write -f` sends
        return {}
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Refused(400, "failed to decode JSON input: not JSON") from None
    if not isinstance(found, dict):
        raise Refused(400, "failed to decode JSON input: json: cannot unmarshal into Go value of type map[string]interface {}")
    return found
