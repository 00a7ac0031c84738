"""One game from the alert to the end: what happens when, and since when which goal holds. Who plays is not its business."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

import msgspec

from irkit.game.acts.tamper import Tamper
from irkit.game.acts.use_token import UseToken
from irkit.game.cast import cast
from irkit.game.harm import Cause, Harm
from irkit.game.history import pair
from irkit.game.view import View
from irkit.model.kube import Value
from irkit.model.scenario import Goal, Inject, Scenario
from irkit.stage import Asked, Stage, Turns
from irkit.text import printable

MomentKind: TypeAlias = Literal["alert", "act", "inject", "reached", "lost", "ended", "command", "role"]
SPOKEN: tuple[MomentKind, ...] = ("command", "role")
"""Moments that players make by what they say; all others come by themselves when the game is seen again."""


class Moment(Value, frozen=True):
    """Something that anybody could see, ``at`` seconds after the alert."""

    at: float
    kind: MomentKind
    text: str


class Track(msgspec.Struct):
    """How one goal stands. ``since``: seconds since which it holds without a break; ``broken``: when it first did not, after it had."""

    goal: Goal
    since: float | None = None
    broken: float | None = None
    why: str = ""
    by: Cause | None = None  # what broke it, if that was asked for


class Course:
    def __init__(self, scenario: Scenario, stage: Stage, turns: Turns, listen: Callable[[Moment], None] = lambda moment: None) -> None:
        self.scenario, self.turns = scenario, turns
        self.view = View(stage, cast(stage))
        self.harm = Harm(self.view)
        self.tracks = [Track(goal) for goal in scenario.goals]
        self.moments: list[Moment] = []
        self._listen, self._told = listen, 0
        self._plan = sorted(_plan(scenario), key=lambda each: each[0])
        self._attacked = False

    def begin(self) -> None:
        """The alert. From now on things happen at their times."""
        view = self.view
        for account in {a.act.account for a in self.scenario.attack if isinstance(a.act, (Tamper, UseToken)) and a.act.account}:
            namespace, name = pair(account)
            bound = view.cast.suspect.name if (namespace, name) == (view.cast.suspect.namespace, view.cast.account) else ""
            view.tokens[account] = view.stage.steal(namespace, name, bound)
        self.say("alert", self.filled(self.scenario.alert))
        self.turns.due, self.turns.act, self.turns.look = self._due, self._act, self.look
        self.look()
        self.turns.begin()

    def end(self) -> None:
        """Nothing more happens; how it stands now is how it ended."""
        with self.turns.take():
            pass
        self.turns.due = lambda: None
        self.turns.look = lambda: None

    @property
    def seconds(self) -> float:
        """Since the alert."""
        return (self.view.now - self.view.began).total_seconds()

    @property
    def first(self) -> float | None:
        """When a player first asked the cluster for anything, in seconds after the alert."""
        asked = [datetime.fromisoformat(e["requestReceivedTimestamp"]) for e in self.view.players[:1]]
        return round(max(0.0, (asked[0] - self.view.began).total_seconds()), 3) if asked else None

    @property
    def over(self) -> bool:
        return self.seconds >= self.scenario.lasts

    def filled(self, text: str) -> str:
        """``${…}`` by what it stands for in this game."""
        for name, value in self.view.cast.names().items():
            text = text.replace(f"${{{name}}}", value)
        return text

    def say(self, kind: MomentKind, text: str) -> None:
        with self.turns.still():  # a request that an earlier command left behind comes before it or after it, not at the same time
            moment = Moment(at=self.seconds, kind=kind, text=text)
            self.moments.append(moment)
            if kind in SPOKEN:
                self.turns.heard(Asked(at=round(1000 * moment.at), server="command", path=kind, body=text))
        self._listen(moment)

    def look(self) -> None:
        """How every goal stands now."""
        before = len(self.moments)
        self.view.look()
        self.harm.look(attacked=self._attacked)
        self._attacked = False
        for gone in list(self.view.gone.values())[self._told :]:
            self.say("ended", f"{printable(str(gone.pod))} ended{'' if gone.read else ', and nobody had read its logs and events'}")
        self._told = len(self.view.gone)
        for track in self.tracks:
            self._judge(track)
        if len(self.moments) > before:  # some goals change with time alone: whoever plays this again must look now, too
            self.turns.heard(Asked(at=round(1000 * self.seconds), server="turn"))

    def _judge(self, track: Track) -> None:
        seen = track.goal.state.look(self.view)
        track.why = seen.why
        if seen.holds and track.since is None:
            track.since = self.seconds
            if track.goal.hold == "end":
                self.say("reached", f"{track.goal.id}: {seen.why}")
        elif not seen.holds and track.since is not None:
            if track.broken is None:
                track.broken, track.by = self.seconds, self.harm.cause
            track.since = None
            self.say("lost", f"{track.goal.id}: {seen.why}")

    def _due(self) -> datetime | None:
        return self.view.began + timedelta(seconds=self._plan[0][0]) if self._plan else None

    def _act(self) -> None:
        _, what = self._plan.pop(0)
        self._attacked = not isinstance(what, Inject)
        if isinstance(what, Inject):
            self.say("inject", printable(f"{what.sender}: {self.filled(what.says)}", 500))
        elif text := what.do(self.view):
            self.say("act", text)


def _plan(scenario: Scenario) -> Iterator[tuple[float, Any]]:
    for timed in scenario.attack:
        at = timed.at
        while at <= scenario.lasts:
            yield at, timed.act
            if not timed.every:
                break
            at += timed.every
    yield from ((inject.at, inject) for inject in scenario.injects)
