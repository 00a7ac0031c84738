"""Who we are to an API server: a fixed credential, a token in a file that is rotated, or what a plugin prints.

A credential never shows in a repr, and its parts never in an error.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from irkit.errors import KubeconfigError
from irkit.text import printable


@dataclass(frozen=True, slots=True)
class Credential:
    """What is shown to the server: a whole Authorization header, a client certificate, both or nothing (PEM)."""

    authorization: str = field(default="", repr=False)
    certificate: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)


class CredentialSource(Protocol):
    def current(self) -> Credential:
        """The credential to use now. Raises KubeconfigError where there is none."""

    def renew(self) -> bool:
        """After a 401: forget what was cached. Whether asking again may yield something else."""


def bearer(token: str, where: str) -> str:
    """The header of a token. Raises KubeconfigError where a header can't carry it."""
    token = token.strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise KubeconfigError(f"{where}: the token has characters that no token has")
    return f"Bearer {token}"


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Static:
    credential: Credential

    def current(self) -> Credential:
        return self.credential

    def renew(self) -> bool:
        return False


@dataclass(slots=True)
class TokenFile:
    """A token that somebody else rotates in its file, as the kubelet does. Read for every request: it costs 20 µs."""

    path: Path
    base: Credential  # with the token of the kubeconfig, used where the file can't be read (client-go does so)
    used: str = field(default="", repr=False)

    def current(self) -> Credential:
        try:
            token = self.path.read_text(encoding="ascii", errors="replace")
        except OSError as error:
            if self.base.authorization:
                return self.base
            raise KubeconfigError(f"token file {printable(self.path)}: {error.strerror}") from None
        self.used = token
        return replace(self.base, authorization=bearer(token, f"token file {printable(self.path)}"))

    def renew(self) -> bool:
        try:
            return self.path.read_text(encoding="ascii", errors="replace") != self.used
        except OSError:
            return False
