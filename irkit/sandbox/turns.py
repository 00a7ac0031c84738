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

from msgspec.structs import replace

from irkit.sandbox.store import Store
from irkit.stage import Asked

_EXACT = 1e-6  # of a millisecond: sums of seconds as floats fall that short of what they are


class Stepped:
    """A `Clock` that stands still between steps, and altogether until `start`.

    ``speed``: seconds of the game in one second at the table; with 0, time goes on only by `skip` and `reach`.
    """

    def __init__(self, began: datetime, speed: float = 1.0) -> None:
        self.began, self.speed = began, speed
        self._now, self._ahead = began, 0.0
        self._start: float | None = None

    def start(self) -> None:
        self._start = time.monotonic()

    def now(self) -> datetime:
        return self._now

    def live(self) -> datetime:
        """The time that it would be now, were nothing to happen one after the other; in whole milliseconds."""
        return self.began + timedelta(milliseconds=int(1000 * self.monotonic() + _EXACT))

    def step(self, to: datetime) -> None:
        self._now = max(self._now, to)

    def skip(self, seconds: float) -> None:
        """Let so many seconds of the game pass without waiting for them."""
        self._ahead += seconds

    def monotonic(self) -> float:
        passed = 0.0 if self._start is None else time.monotonic() - self._start
        return passed * self.speed + self._ahead

    def reach(self, milliseconds: int) -> None:
        """It is so many milliseconds after the beginning, or later."""
        behind = self.began + timedelta(milliseconds=milliseconds) - self.live()
        self._ahead += max(0.0, behind.total_seconds())

    def since(self, moment: datetime) -> int:
        """Milliseconds from the beginning until then."""
        return (moment - self.began) // timedelta(milliseconds=1)

    def sleep(self, seconds: float) -> None:
        if self.speed:
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
        self.heard: Callable[[Asked], None] = lambda asked: None
        self._read = False  # whether anybody read since the last turn

    def begin(self) -> None:
        """Until now no time passed. From now on it does."""
        self.clock.start()

    @contextmanager
    def take(self, moment: datetime | None = None, *, asked: Asked | None = None) -> Iterator[datetime]:
        """A turn, now or at ``moment``; its consequences are there when it ends. ``asked``: what it is about, its time left open.

        A turn without anything asked is heard of only where it made a difference: time that passes does not need to be kept.
        """
        with self._lock:
            moment, before = moment or self.clock.live(), self._store.version
            self.until(moment)
            at = self.clock.since(self.clock.now())
            if asked is not None:
                self.heard(replace(asked, at=at))
            yield self.clock.now()
            self._after()
            if asked is None and (self._read or self._store.version != before):
                self.heard(Asked(at=at, server="turn"))
            self._read = False

    @contextmanager
    def still(self) -> Iterator[None]:
        """No turn, but nobody else has one meanwhile."""
        with self._lock:
            yield

    @contextmanager
    def between(self, asked: Asked) -> Iterator[None]:
        """Somebody reads: no turn, but not in the middle of one."""
        with self._lock:
            self.heard(asked)
            self._read = True
            yield

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
