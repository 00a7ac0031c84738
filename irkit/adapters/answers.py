"""What an API server's refusals mean. Of a body only a ``kind: Status`` is looked at, and of that only its own words."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from irkit.adapters.access import About
from irkit.errors import ApiError, ConflictError, ForbiddenError, GoneError, InvalidError, IrkitError, LoginError, NotFoundError, UnreachableError
from irkit.model.kube import at, dicts
from irkit.text import printable

STATUS_LIMIT = 1 << 20  # bytes of an error body that are read at all
BUSY = frozenset({429, 500, 502, 503, 504})  # may pass
_UNREACHABLE = frozenset({429, 502, 503, 504})
_CLASSES = {404: NotFoundError, 409: ConflictError, 410: GoneError, 400: InvalidError, 413: InvalidError, 422: InvalidError}
# As apiserver's responsewriters.Forbidden writes it; other 403s to a write come from admission (PodSecurity, quota, webhooks).
_NO_RIGHT = re.compile(r'User "(?:[^"\\]|\\.)*" cannot ')
# The API server could not connect to a kubelet: Go's net/http error, the egress proxy's, or a node without an address, as a 500.
_NO_KUBELET = re.compile(
    r'^(Get|Post) "https?://[^"]*": (dial|net/http|context|EOF|read|http|proxy|tls|remote)|No agent available|no preferred addresses'
)


def decoded(body: bytes | None) -> Any:
    """The JSON value, or None where it is none."""
    try:
        return msgspec.json.decode(body) if body else None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def refusal(code: int, body: bytes | None, *, method: str, path: str, about: About, why: str = "") -> IrkitError:
    """The error for an answer of 300 or more to a request of ours. ``why``: what we know of a 401 ourselves."""
    document = decoded(body)
    status = document if isinstance(document, dict) and document.get("kind") == "Status" else {}
    said = _words(status)
    reason = printable(status.get("reason") or "", 64)
    asked = f"{method} {printable(path.partition('?')[0])}"
    text = said or f"the API server answered {code} to {asked}"
    server = printable(about.server)
    if code == 401:
        # the API server itself says "Unauthorized"; this, with `pods/log`, is what it makes of a kubelet that does not know it
        kubelets = "asked for the client to provide credentials" in str(status.get("message") or "")
        return _unauthorized(ForbiddenError if kubelets else LoginError, server, printable(about.user), why)
    if code == 403:
        if method == "GET" or not said or _NO_RIGHT.search(str(status.get("message"))):
            return ForbiddenError(said or f"the API server does not allow {asked} (403)")
        return InvalidError(text, status=code, reason=reason)
    if code in _UNREACHABLE or (code == 500 and _NO_KUBELET.search(str(status.get("message") or ""))):
        return UnreachableError(f"{server} can't answer now ({code}): {said}" if said else text)
    if code == 422 and method == "PATCH" and _other_object(status):
        code, reason = 409, "Conflict"
    return _CLASSES.get(code, ApiError)(text, status=code, reason=reason)


def _unauthorized(kind: type[ForbiddenError], server: str, user: str, why: str) -> ForbiddenError:
    who = f"the credentials of kubeconfig user {user}" if user else "requests without credentials"
    return kind(f"{server} does not accept {who} (401)" + (f": {why}" if why else ""), next=LoginError.otherwise)


def _other_object(status: dict[str, Any]) -> bool:
    """A patch pinned to the uid of an object that has been replaced since: seen as 422 on metadata.uid (Kubernetes 1.35)."""
    return any(cause.get("field") == "metadata.uid" for cause in _causes(status))


def _causes(status: dict[str, Any]) -> list[dict[str, Any]]:
    return dicts(at(status, ("details", "causes")))


def _words(status: dict[str, Any]) -> str:
    message = status.get("message")
    if isinstance(message, str) and message:
        return printable(message)
    return printable("; ".join(f"{c.get('field', '')}: {c.get('message', '')}" for c in _causes(status)))


def retry_after(header: str) -> float | None:
    """Seconds of a Retry-After header, where it is a number (an API server sends no dates)."""
    return float(header) if header.isascii() and header.isdigit() and len(header) < 7 else None
