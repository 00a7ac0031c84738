"""A token in the header ``Authorization`` (RFC 6750). The settings know it only by its SHA-256."""

from __future__ import annotations

import hashlib
import hmac

from irkit.listeners.web.auth.errors import Unauthenticated
from irkit.model.http import Head
from irkit.settings.serve import BearerSettings


class Bearer:
    def __init__(self, settings: BearerSettings) -> None:
        self._hashes = [(name, bytes.fromhex(digest)) for name, digest in settings.tokens.items()]

    def head(self, head: Head) -> str:
        kind, _, token = head.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise Unauthenticated("this source takes a bearer token: Authorization: Bearer TOKEN")
        given = hashlib.sha256(token.strip().encode("latin-1", "replace")).digest()
        found = [name for name, digest in self._hashes if hmac.compare_digest(given, digest)]  # all, whichever fits
        if not found:
            raise Unauthenticated("no source has this token")
        return found[0]

    def body(self, head: Head, body: bytes) -> str:
        return self.head(head)

    def forget(self, head: Head) -> None:
        """Tokens are not used up."""
