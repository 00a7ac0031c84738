"""The wall clock behind the Clock port, for a rehearsal that was given none."""

from __future__ import annotations

import time
from datetime import UTC, datetime

__all__ = ["UTC", "WallClock", "micro", "parse", "stamp"]


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
