"""A game that goes on by itself while people play it: things happen at their times until it is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Self

from irkit.game import picture
from irkit.game.course import Course
from irkit.model.kube import NAMESPACES, ObjectRef
from irkit.model.picture import Picture, Role
from irkit.model.scenario import Scenario
from irkit.stage import Turns
from irkit.text import printable

BEAT = 0.2
"""Seconds between looks at the clock."""
_SHARE = 0.05  # of a core, at most, that looking may take
SEEN = frozenset({"alert", "inject", "reached", "lost", "ended", "role"})
"""What players see: what the attacker does is theirs to find."""
FIRST = "first-contact"
"""Where everybody begins."""
COMPRESSED, SHORTEST, LONGEST, TOGETHER = 60.0, 1.5, 6.0, 24.0
"""A viewer sees so many seconds of the game in one, and no wait is shorter or longer than so many seconds; nor are all of them together."""


class Live:
    """From entering to leaving the ``with`` block a thread takes the turns. ``picture`` is always a whole one.

    Args:
        course: a game that has begun.
        kinds: which moments are shown; without, all.
        roles: who has which role now; called in a turn, so that it may write moments.
    """

    def __init__(self, course: Course, *, kinds: frozenset[str] = frozenset(), roles: Callable[[], Sequence[Role]] = lambda: ()) -> None:
        self.course, self._kinds, self._roles = course, kinds, roles
        self.over = ""
        self._ended, self._left = threading.Event(), threading.Event()
        self._failed: Exception | None = None
        self._there = True
        self._thread = threading.Thread(target=self._run, name="game", daemon=True)
        self.picture = self._taken()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._left.set()
        self._thread.join(5)

    def wait(self) -> str:
        """Until it is over; says why. What went wrong in the thread is raised here."""
        self._ended.wait()
        return self.check()

    def check(self) -> str:
        """Why it is over; empty while it goes on."""
        if self._failed is not None:
            raise self._failed
        return self.over

    def caught_up(self) -> str:
        """As `check`, at this very moment, however far the thread is behind."""
        with self.course.turns.take():
            self.over = self.over or ("the time is over" if self.course.over else "")
        return self.check()

    def end(self, why: str) -> None:
        self.over = self.over or why
        self._ended.set()
        self.picture = self._taken()

    def _taken(self) -> Picture:
        with self.course.turns.take():
            return picture.take(self.course, kinds=self._kinds, roles=self._roles(), over=self.over)

    def _run(self) -> None:
        pause = BEAT
        while not self._left.wait(pause):
            began = time.thread_time()
            try:
                self._beat()
            except Exception as error:  # noqa: BLE001 -- raised again in `wait`; a thread that dies in silence would leave the players waiting
                self._failed = error
                self._ended.set()
                return
            pause = max(BEAT, (time.thread_time() - began) / _SHARE)

    def _beat(self) -> None:
        self._watch_namespace()
        if not self.over:
            self.over = "all goals are reached" if reached(self.course) else "the time is over" if self.course.over else ""
        self.picture = self._taken()
        if self.over:
            self._ended.set()

    def _watch_namespace(self) -> None:
        name = self.course.view.cast.suspect.namespace
        with self.course.turns.take():
            there = self.course.view.stage.find(ObjectRef(resource=NAMESPACES, name=name)) is not None
            if self._there and not there:
                self.course.say("ended", f"namespace {printable(name)} is gone, with all that was in it")
            self._there = there


def reached(course: Course) -> bool:
    """Whether all goals hold, and nothing happens any more that has not happened before."""
    scenario = course.scenario
    last = max((*(act.at for act in scenario.attack), *(inject.at for inject in scenario.injects)), default=0.0)
    return course.seconds > last and all(t.since is not None for t in course.tracks if t.goal.hold == "end")


def paced(turns: Turns, sleep: Callable[[float], None], speed: float = 0.0) -> Callable[[float], None]:
    """Waits of a game that somebody watches: its time passes ``speed`` times as fast as the viewer's; 0: so that one can follow."""
    spent = 0.0

    def wait(seconds: float) -> None:
        nonlocal spent
        most = min(LONGEST, (TOGETHER - spent) / 3)
        real = min(seconds, seconds / speed if speed else min(most, max(SHORTEST, seconds / COMPRESSED)))
        spent += real
        frames = max(1, int(real / BEAT))
        for _ in range(frames):
            sleep(real / frames)
            turns.wait((seconds - real) / frames)

    return wait


def next_scenario(known: Iterable[Scenario], mastered: Collection[str], *, hard: bool = False) -> Scenario | None:
    """The easiest of those that are not mastered yet, or the hardest; None: all are. Everybody begins with `FIRST`."""
    sign = -1 if hard else 1
    return min((s for s in known if s.name not in mastered), key=lambda s: (sign * s.difficulty, s.name != FIRST, s.name), default=None)
