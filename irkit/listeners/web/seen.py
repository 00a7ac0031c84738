"""The queue as it was a moment ago: for limits, metrics and readiness, without a read for each."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from irkit.errors import IrkitError
from irkit.model.order import Held
from irkit.ports import Clock
from irkit.ports.orders import Orders

PERIOD = 5.0  # seconds between two reads where nobody asks
FORGOTTEN = 20.0  # seconds after which what was read counts for nothing


class Seen:
    """One read at a time, for all who ask."""

    def __init__(self, orders: Orders, clock: Clock) -> None:
        self._orders, self._clock = orders, clock
        self._lock = threading.Lock()
        self._held: Sequence[Held] = ()
        self._at: float | None = None

    def add(self, held: Held) -> None:
        """What this process has just put into it."""
        with self._lock:
            self._held = [*self._held, held]

    def within(self, seconds: float) -> Sequence[Held]:
        """The queue, not older than that. Raises UnreachableError, ForbiddenError."""
        with self._lock:
            if self._at is None or self._clock.monotonic() - self._at > seconds:
                self._held, self._at = self._orders.list(), self._clock.monotonic()
            return self._held

    @property
    def last(self) -> Sequence[Held] | None:
        """What was read last; None where that is too long ago."""
        return self._held if self._at is not None and self._clock.monotonic() - self._at < FORGOTTEN else None

    def run(self, over: threading.Event) -> None:
        """Read it now and then, until ``over``."""
        while not over.is_set():
            try:
                self.within(PERIOD)
                over.wait(PERIOD / 2)
            except IrkitError:
                over.wait(0.5)  # whoever needs it says why it can't be read
