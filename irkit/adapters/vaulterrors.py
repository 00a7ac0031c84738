"""What a Vault's refusals mean. Of a body only its ``errors`` are looked at, and none that may hold a value is shown."""

from __future__ import annotations

import re
import ssl
from typing import Any

from irkit.adapters.answers import decoded
from irkit.errors import ApiError, ConflictError, ForbiddenError, InvalidError, IrkitError, NotFoundError, UnreachableError
from irkit.model.secret import mentions
from irkit.text import printable, texts

BUSY = frozenset({412, 429, 502, 503, 504})  # may pass; 412: a replica that is not up to date yet
_CLASSES = {400: InvalidError, 404: NotFoundError, 405: InvalidError, 413: InvalidError, 422: InvalidError}
# An SQL literal, a connection URL with a password, a PEM: what an engine may quote of what it made or was configured with.
_VALUE = re.compile(r"(?i)password\s{0,9}[=:]?\s{0,9}['\"]|identified by|://[^/\s:@]*:[^/\s@]*@|-----BEGIN|\bhvs\.|\bsecret_id\b\s{0,9}[=:]")
_MOST, _LONGEST = 8, 4096  # errors of an answer, and characters of each, that are looked at: who sends more wants to keep us busy
_WRAPPING = re.compile(r"^\d+ errors? occurred:|\*\s+")


class ByPolicyError(ForbiddenError):
    """The token is known, and its policies do not give the right: to an unknown one a server says "permission denied" without counting
    (OpenBao 2.x), or counts "invalid token" with it (Vault 1.x)."""


def refusal(code: int, body: bytes | None, *, method: str, path: str, where: str, sent: Any = None) -> IrkitError:
    """The error for an answer of 300 or more. ``sent``: the body and the token of the request, of which no sentence may repeat a value."""
    said = _words(body, sent)
    asked = f"{method} {printable(path)}"
    where = printable(where)
    text = f"{where}: {asked}: {said}" if said else f"{where} answered {code} to {asked}"
    if code == 403:
        kind = ByPolicyError if body and b"1 error occurred:" in body else ForbiddenError
        return kind(f"{where} does not allow {asked}" + (f" ({said})" if said else ""), next=f"vault token capabilities {printable(path)}")
    if code == 503 and "sealed" in said:
        return UnreachableError(f"{where} is sealed", next="unseal it, then irkit resume")
    if code in BUSY or code in (472, 473):
        return UnreachableError(f"{where} can't answer now ({code})" + (f": {said}" if said else ""))
    if code in (301, 302, 307, 308):
        return UnreachableError(f"{where} is not the active server and sends us to another", next="set VAULT_ADDR to the active server")
    if code == 400 and "check-and-set parameter did not match" in said:
        return ConflictError(f"{where}: {printable(path)} was changed meanwhile (check-and-set)", status=code, reason="CheckAndSet")
    return _CLASSES.get(code, ApiError)(text, status=code)


def untrusted(error: ssl.SSLError, where: str, expected: str) -> IrkitError:
    """The sentence for a failed handshake."""
    where, why = printable(where), printable(getattr(error, "verify_message", "") or error.reason or "the connection was closed")
    if isinstance(error, ssl.SSLCertVerificationError):
        return UnreachableError(f"the certificate of {where} is not one that is trusted for {printable(expected)} ({why})",
                                next="check VAULT_ADDR; name its authority in VAULT_CACERT")  # fmt: skip
    return UnreachableError(f"no TLS with {where}: {why}", next="check VAULT_ADDR")


def _words(body: bytes | None, sent: Any) -> str:
    document = decoded(body)
    errors = document.get("errors") if isinstance(document, dict) else None
    if not isinstance(errors, list):
        return ""
    values = [v.encode("utf-8", "surrogatepass") for v in texts(sent)]
    return printable("; ".join(_shown(e, values) for e in errors[:_MOST] if isinstance(e, str)), 400)


def _shown(sentence: str, values: list[bytes]) -> str:
    if _VALUE.search(sentence[:_LONGEST]) or mentions(sentence, values):
        return "(its words are not shown: they may hold a value)"
    return " ".join(_WRAPPING.sub(" ", sentence).split())
