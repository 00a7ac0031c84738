"""Reading what strangers send: typed, bounded, and never more than text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from irkit.errors import UsageError
from irkit.model.alert import Alert, Level
from irkit.text import printable

T = TypeVar("T")
LONGEST = 300  # characters of a name or a label's value
SUMMARY = 1000  # characters of a summary
MOST_ALERTS = 500  # of one message
MOST_LABELS = 64  # of one alert
_OBJECT = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")

WORDS: dict[str, Level] = {
    **dict.fromkeys(("emergency", "alert", "critical", "fatal", "page", "disaster"), "critical"),
    **dict.fromkeys(("error", "high", "major", "severe"), "high"),
    **dict.fromkeys(("warning", "warn", "medium", "moderate", "average"), "medium"),
    **dict.fromkeys(("notice", "informational", "info", "information", "debug", "low", "minor", "none", "ok"), "low"),
}  # fmt: skip
"""What sources call it. RFC 5424 has emergency to debug, which Falco's priorities are."""


class Alerts(list[Alert]):
    """Those of one message that are looked at; ``left``: how many are not."""

    left = 0


def several(found: Sequence[T], make: Callable[[T], Alert]) -> Alerts:
    """An alert of each, of so many as are looked at: what a message costs has a bound."""
    alerts = Alerts(make(one) for one in found[:MOST_ALERTS])
    alerts.left = len(found) - len(alerts)
    return alerts


def document(body: bytes, kind: type[T]) -> T:
    """The body as ``kind``. Raises UsageError, in one sentence, for what is none."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise UsageError(f"the document is not what this source sends: {printable(error, 200)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the body is not JSON: {printable(error, 200)}") from None
    except (RecursionError, ValueError, OverflowError):
        raise UsageError("the body is not JSON that can be read: nested too deep, or a number too large") from None


def text(value: object, longest: int = LONGEST) -> str:
    """Text, cut; a number as text; empty for anything else."""
    if isinstance(value, str):
        return value[:longest]
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15 else ""


def named(value: object) -> str:
    """The name of an object in a cluster; empty for what can't be one (``<NA>``, null)."""
    return value if isinstance(value, str) and len(value) <= 253 and _OBJECT.fullmatch(value) else ""


def level(value: object) -> Level:
    return WORDS.get(value.strip().lower(), "unknown") if isinstance(value, str) else "unknown"


def labelled(values: Mapping[str, Any]) -> dict[str, str]:
    """The first of them whose values are text or numbers."""
    found: dict[str, str] = {}
    for key, value in values.items():
        if len(found) == MOST_LABELS:
            break
        if shown := text(value):
            found[key[:LONGEST]] = shown
    return found


def digest(*parts: str) -> str:
    """A fingerprint, where the source has none of its own."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
