"""Clocks for tests: time is a port."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta


class StepClock:
    """Starts at a fixed moment and goes forward only by `sleep`; ``slept`` are the pauses that were asked for."""

    def __init__(self, start: datetime | None = None) -> None:
        self._start = start or datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
        self._passed = 0.0
        self._lock = threading.Lock()
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self._passed += seconds
