"""What may be kept of a Secret: key names, byte lengths and a keyed HMAC. Never a value."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from irkit.model.kube import Obj


def elide(secret: Obj, key: bytes) -> Obj:
    """A copy of a Secret object with every value replaced by its length and HMAC-SHA-256 under ``key``.

    ``kubectl.kubernetes.io/last-applied-configuration`` repeats the values, and any other annotation may: all
    annotation values are elided too.
    """
    meta: dict[str, Any] = {k: v for k, v in (secret.get("metadata") or {}).items() if k != "managedFields"}
    if meta.get("annotations"):
        meta["annotations"] = {k: _print(_octets(v), key) for k, v in meta["annotations"].items()}
    kept: Obj = {k: v for k, v in secret.items() if k in ("apiVersion", "kind", "type", "immutable")}
    values = {k: _print(_decoded(v), key) for k, v in (secret.get("data") or {}).items()}
    return {**kept, "metadata": meta, "data": values}


def mentions(text: str, values: Iterable[bytes]) -> bool:
    """Whether a text of somebody else's has one of these values in it: as it is, or as programs like to write what they quote.

    Values of three bytes or fewer are in every text, and are not looked for.
    """
    return any(form in text for value in values if len(value) > 3 for form in _forms(value))


def _forms(value: bytes) -> Iterator[str]:
    """As it is, as a JSON or Go string without its quotes, in a URL, in base64, in hex."""
    text = value.decode("utf-8", "replace")
    yield text
    import json  # rarely needed, and nothing that a containment waits for

    yield from (json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))
    yield quote(value, safe="")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(value).decode().rstrip("=")
    yield value.hex()


def _decoded(value: Any) -> bytes:
    try:
        return base64.b64decode(str(value), validate=True)
    except (binascii.Error, ValueError):
        return _octets(value)


def _octets(value: Any) -> bytes:
    return str(value).encode("utf-8", "surrogatepass")  # JSON may hold lone surrogates


def _print(value: bytes, key: bytes) -> dict[str, Any]:
    return {"length": len(value), "hmacSha256": hmac.digest(key, value, "sha256").hex()}
