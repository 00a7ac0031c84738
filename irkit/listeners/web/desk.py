"""Where alerts meet rules. What was decided a moment ago is answered at once; the rest goes to the clerk, one at a time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec

from irkit.listeners.web.ordering import FULL, Clerk, Outcome, Wanted, wanted
from irkit.listeners.web.rules.rule import Rule
from irkit.model.alert import Alert
from irkit.ports import Clock

MOST_KNOWN = 4096  # decisions that are remembered
MOST_WAITING = 64  # that the clerk has not come to
_ORDERED, _IGNORED = 30.0, 5.0  # seconds that an order, or a refusal by a limit, is remembered
_OUT = 1.0  # seconds that a queue that is full, or does not answer, is not asked again


class Desk:
    """On the server's own thread, but for the clerk."""

    def __init__(self, rules: Sequence[Rule], clerk: Clerk, clock: Clock) -> None:
        self._rules, self._clerk, self._clock = rules, clerk, clock
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="irkit-clerk")
        self._known: OrderedDict[tuple[str, str, str], tuple[float, Outcome]] = OrderedDict()
        self._waiting: dict[tuple[str, str, str], Future[Outcome]] = {}
        self._out: tuple[float, Outcome | None] = (0.0, None)  # until when nobody needs to ask the clerk, and what it said

    async def decide(self, alerts: Sequence[Alert], sender: str) -> list[Outcome]:
        """What becomes of each alert by each rule that it fits; those that fit none are ignored."""
        found: list[tuple[str, Outcome | Future[Outcome]]] = []
        for alert in alerts:
            fitting = [rule for rule in self._rules if rule.match.holds(alert)]
            found += [(alert.name, self._begin(alert, rule, sender)) for rule in fitting]
            if not fitting:
                found.append((alert.name, Outcome(alert=alert.name, ignored="no rule is about it")))
        decided = [(name, one if isinstance(one, Outcome) else await asyncio.shield(asyncio.wrap_future(one))) for name, one in found]
        return [one if one.alert == name else msgspec.structs.replace(one, alert=name) for name, one in decided]

    def _begin(self, alert: Alert, rule: Rule, sender: str) -> Outcome | Future[Outcome]:
        want = wanted(alert, rule, sender)
        if isinstance(want, Outcome):
            return want
        until, known = self._known.get(want.key, (0.0, None))
        if known is not None and self._clock.monotonic() < until:
            return known
        if want.key in self._waiting:
            return self._waiting[want.key]
        until, said = self._out
        if said is not None and self._clock.monotonic() < until:
            return msgspec.structs.replace(said, alert=alert.name, rule=rule.name)
        if len(self._waiting) >= MOST_WAITING:
            return Outcome(alert=alert.name, rule=rule.name, error="too much is asked for at once", retry_after=FULL)
        self._waiting[want.key] = future = self._pool.submit(self._clerk.take, want)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda done: loop.call_soon_threadsafe(self._learn, want, done))
        return future

    def _learn(self, want: Wanted, done: Future[Outcome]) -> None:
        self._waiting.pop(want.key, None)
        if done.cancelled() or done.exception() is not None:
            return
        if (outcome := done.result()).error:
            self._out = (self._clock.monotonic() + _OUT, outcome)
            return
        lasts = min(want.rule.window, _ORDERED) if outcome.order else _IGNORED
        self._known[want.key] = (self._clock.monotonic() + lasts, msgspec.structs.replace(outcome, new=False))
        self._known.move_to_end(want.key)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
