"""The time of this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class SystemClock:
    """`ports.Clock` by the operating system."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(seconds, 0.0))


class Ahead(SystemClock):
    """The same, in a game: what would be waited for passes by ``wait``, and this clock is ahead by it from then on."""

    def __init__(self, wait: Callable[[float], None]) -> None:
        self._wait, self._ahead = wait, 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self._ahead)

    def monotonic(self) -> float:
        return super().monotonic() + self._ahead

    def sleep(self, seconds: float) -> None:
        began = time.monotonic()
        self._wait(max(seconds, 0.0))
        self._ahead += max(0.0, seconds - (time.monotonic() - began))
