"""The turn of whoever leads: begin what nobody works on, let expire what nobody approved, forget what is long over.

It keeps nothing in memory that the queue does not say: killed anywhere, the next turn, of whichever process, goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from irkit.app.orders.queue import STALE
from irkit.engine.journal import stamp
from irkit.errors import ConflictError, IrkitError, UnreachableError
from irkit.model.order import Ended, Held, Status
from irkit.ports import Clock
from irkit.ports.orders import Orders, Runner
from irkit.settings import Settings
from irkit.text import printable

PATIENCE = 30.0  # seconds that a process has from its start to its first sign of life


class Pulse:
    """Signs of life as one process has seen them: by its own monotonic clock, for the clocks of machines differ."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[tuple[str, str], float]] = {}

    def beats(self, held: Held) -> bool:
        """Whether whoever has the order gave a new sign within `STALE` seconds."""
        now, sign = self._clock.monotonic(), (held.status.worker, held.status.beat)
        if self._seen.get(held.order.id, (("", ""), 0.0))[0] != sign:
            self._seen[held.order.id] = sign, now
        return now - self._seen[held.order.id][1] < STALE

    def forget(self, held: Held) -> None:
        self._seen.pop(held.order.id, None)


def _silent(held: Held, error: IrkitError) -> None:
    """Nobody is told."""


def turn(
    orders: Orders, runner: Runner, settings: Settings, clock: Clock, pulse: Pulse, left: Callable[[Held, IrkitError], None] = _silent
) -> Sequence[Held]:
    """One turn; all orders as they are after it. What can't be done now is tried in the next turn.

    ``pulse``: the same in every turn of a process.
    ``left``: is told of an order that can't be changed, such as one that somebody made immutable: it keeps no other waiting.
    What people want comes first, and a quarter of the processes is kept for it: a burst of alerts keeps nobody waiting.
    """
    listed, found, most = orders.list(), [], settings.orders.most_running
    kept = max(most > 1, most // 4)
    room = most - sum(_busy(held.status) for held in listed)
    for held in sorted(listed, key=_of_an_alert):
        try:
            after = _next(orders, runner, held, settings, clock, pulse, room=room > kept * _of_an_alert(held))
        except UnreachableError:
            raise
        except ConflictError:  # somebody else sees to it
            continue
        except IrkitError as error:
            left(held, error)
            after = held
        if after is not None:
            room -= _busy(after.status) - _busy(held.status)
            found.append(after)
    return sorted(found, key=lambda h: (h.order.created, h.order.id))


def _of_an_alert(held: Held) -> bool:
    """Whether nobody but an alert wants it, as yet."""
    return held.order.origin.door == "webhook" and not any(d.yes for d in held.status.decisions)


def _busy(status: Status) -> bool:
    """Whether a process was begun for what is to be done now."""
    return status.attempts > 0 and status.state in ("planning", "queued", "running")


def _next(orders: Orders, runner: Runner, held: Held, settings: Settings, clock: Clock, pulse: Pulse, *, room: bool) -> Held | None:
    status, now = held.status, clock.now()
    if not status.worker:
        pulse.forget(held)
    if status.over:
        if (now - datetime.fromisoformat(status.changed)).total_seconds() < settings.orders.kept:
            return held
        orders.remove(held)
        return None
    if _busy(status) and _under_way(runner, held, now, pulse):
        return held
    if now >= datetime.fromisoformat(held.order.expires) and status.state != "running":
        said = f"nobody {'approved it' if status.state == 'waiting' else 'began with it'} in time"
        return _to(orders, held, clock, state="expired", note=said, worker="", beat="")
    if status.state == "waiting" or not (room or _busy(status)):
        return held
    if status.attempts >= settings.orders.attempts:
        ended = Ended(outcome="failed", exit_code=1, summary=status.note or "no process that began with it came to an end",
                      next=f"irkit resume {status.incident}" if status.incident else f"irkit {held.order.words}")  # fmt: skip
        return _to(orders, held, clock, state="failed", ended=ended, worker="", beat="")
    begun = _to(orders, held, clock, attempts=status.attempts + 1, begun=status.begun + 1, worker="", beat="")
    try:
        runner.start(begun)
    except IrkitError as error:
        return orders.update(begun, msgspec.structs.replace(begun.status, note=printable(error.message, 300)))
    return begun


def _under_way(runner: Runner, held: Held, now: datetime, pulse: Pulse) -> bool:
    """Whether some process works on it, or will, or it is too early for the next one."""
    status, said = held.status, runner.alive(held)
    if status.worker:
        return said is not False and pulse.beats(held)
    age = (now - datetime.fromisoformat(status.changed)).total_seconds()
    if said is None:
        return age < PATIENCE
    return said or age < min(PATIENCE, 2.0 ** min(status.attempts, 10))


def _to(orders: Orders, held: Held, clock: Clock, **changes: object) -> Held:
    return orders.update(held, msgspec.structs.replace(held.status, changed=stamp(clock), **changes))
