"""Who we are to an API server: a fixed credential, a token in a file that is rotated, or what a plugin prints.

A credential never shows in a repr, and its parts never in an error.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec

from irkit.errors import KubeconfigError
from irkit.text import printable


class Credential(msgspec.Struct, frozen=True):
    """What is shown to the server: a whole Authorization header, a client certificate, both or nothing (PEM)."""

    authorization: str = ""
    certificate: bytes = b""
    key: bytes = b""

    def __repr__(self) -> str:
        return "Credential(…)"


class CredentialSource(Protocol):
    """Thread-safe."""

    def current(self) -> Credential:
        """The credential to use now. Raises KubeconfigError where there is none."""

    def renew(self, refused: Credential) -> bool:
        """After a 401 to ``refused``: do not use that one again. Whether `current` may yield another."""


def bearer(token: str, where: str) -> str:
    """The header of a token. Raises KubeconfigError where a header can't carry it."""
    token = token.strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise KubeconfigError(f"{where}: the token has characters that no token has")
    return f"Bearer {token}"


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def expired(authorization: str, now: datetime) -> str:
    """When the token expired, where it is a JWT (RFC 7519) that says so; else empty. Nothing else of it is looked at."""
    parts = authorization.removeprefix("Bearer ").split(".")
    if len(parts) != 3:
        return ""
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        moment = datetime.fromtimestamp(float(claims["exp"]), UTC)
    except (ValueError, KeyError, TypeError, OverflowError, OSError, RecursionError):
        return ""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment < now else ""


class Static:
    """The same for as long as we run."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    def current(self) -> Credential:
        return self._credential

    def renew(self, refused: Credential) -> bool:
        return False


class TokenFile:
    """A token that somebody else rotates in its file, as the kubelet does. Read for every request: it costs 20 µs.

    ``base`` may have a token of the kubeconfig, used where the file can't be read, as by client-go.
    """

    def __init__(self, path: Path, base: Credential) -> None:
        self._path, self._base = path, base

    def current(self) -> Credential:
        where = f"token file {printable(self._path)}"
        try:
            token = self._path.read_text(encoding="ascii", errors="replace")
        except OSError as error:
            if self._base.authorization:
                return self._base
            raise KubeconfigError(f"{where}: {error.strerror}") from None
        if not token.strip():
            raise KubeconfigError(f"{where}: it is empty")
        return msgspec.structs.replace(self._base, authorization=bearer(token, where))

    def renew(self, refused: Credential) -> bool:
        """Whether the file was rotated since."""
        return self.current() != refused
