"""One thing at a time, each at a time of its own: the same requests at the same times make the same world.

A game's clock stands still between steps. A write steps it to now, is answered, and has all its consequences before the
next one begins; what falls due in between (a controller that waits, an attacker's next act) happens first, at its own time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from irkit.sandbox.store import Store


class Stepped:
    """A `Clock` that stands still between steps. ``speed``: seconds of the game in one second at the table."""

    def __init__(self, began: datetime, speed: float = 1.0) -> None:
        self.began, self.speed = began, speed
        self._now, self._ahead, self._start = began, 0.0, time.monotonic()

    def now(self) -> datetime:
        return self._now

    def live(self) -> datetime:
        """The time that it would be now, were nothing to happen one after the other; in whole milliseconds."""
        return self.began + timedelta(milliseconds=int(1000 * self.monotonic()))

    def step(self, to: datetime) -> None:
        self._now = max(self._now, to)

    def skip(self, seconds: float) -> None:
        """Let so many seconds of the game pass without waiting for them."""
        self._ahead += seconds

    def monotonic(self) -> float:
        return (time.monotonic() - self._start) * self.speed + self._ahead

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / self.speed)


class Live:
    """The same clock, as it would go on without standing still: for what is written down about who asked when."""

    def __init__(self, clock: Stepped) -> None:
        self.now, self.monotonic, self.sleep = clock.live, clock.monotonic, clock.sleep


class Turns:
    """Who writes waits for his turn. ``due`` and ``act`` are the game's: when its next act is, and do it."""

    def __init__(self, clock: Stepped, store: Store, settle: Callable[[], None]) -> None:
        self.clock, self._store, self._settle = clock, store, settle
        self._lock = threading.RLock()
        self.due: Callable[[], datetime | None] = lambda: None
        self.act: Callable[[], None] = lambda: None
        self.look: Callable[[], None] = lambda: None

    @contextmanager
    def take(self, moment: datetime | None = None) -> Iterator[datetime]:
        """A turn, now or at ``moment``; its consequences are there when it ends."""
        with self._lock:
            moment = moment or self.clock.live()
            self.until(moment)
            yield moment
            self._after()

    def wait(self, seconds: float) -> None:
        """Let so many seconds of the game pass without waiting for them, with all that falls due in them."""
        self.clock.skip(seconds)
        with self.take():
            pass

    def until(self, moment: datetime) -> None:
        """All that falls due until then, in the order of time."""
        with self._lock:
            while (first := min((d for d in (self._store.due, self.due()) if d is not None), default=None)) is not None and first <= moment:
                self.clock.step(first)
                if first == self.due():
                    self.act()
                self._after()
            self.clock.step(moment)

    def _after(self) -> None:
        self._settle()
        self.look()
