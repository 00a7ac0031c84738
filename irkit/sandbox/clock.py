"""The wall clock behind the Clock port, for a rehearsal that was given none."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

__all__ = ["UTC", "WallClock", "micro", "parse", "seconds", "stamp"]
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


class WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def stamp(moment: datetime) -> str:
    """RFC 3339 in whole seconds, as ``metav1.Time`` prints."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro(moment: datetime) -> str:
    """RFC 3339 in microseconds, as ``metav1.MicroTime`` prints."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse(text: str) -> datetime:
    """What `stamp` and `micro` print. Raises ValueError."""
    return datetime.fromisoformat(text)


def seconds(text: str) -> float:
    """How long a Go duration (``1h30m``) is; below 0 for what is none."""
    if text == "0":
        return 0.0
    parts = re.findall(r"(\d{1,12}(?:\.\d{1,9})?)(h|ms|m|s)", str(text))
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return -1.0
    return min(sum(float(number) * _UNITS[unit] for number, unit in parts), 9.2e9)
