"""The turn of whoever leads: begin what nobody works on, let expire what nobody approved, forget what is long over.

It keeps nothing in memory that the queue does not say: killed anywhere, the next turn, of whichever process, goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

import msgspec

from irkit.app.orders.queue import alive
from irkit.engine.journal import stamp
from irkit.errors import ConflictError, IrkitError
from irkit.model.order import Ended, Held, Status
from irkit.ports import Clock, Orders, Runner
from irkit.settings import Settings
from irkit.text import printable

PATIENCE = 30.0  # seconds that a process has from its start to its first sign of life


def turn(orders: Orders, runner: Runner, settings: Settings, clock: Clock) -> Sequence[Held]:
    """One turn; all orders as they are after it. What can't be done now is tried in the next turn."""
    found = []
    running = 0
    for held in orders.list():
        with suppress(ConflictError):
            after = _next(orders, runner, held, settings, clock, room=running < settings.orders.most_running)
            running += after is not None and after.status.state in ("planning", "running", "queued") and after.status.attempts > 0
            if after is not None:
                found.append(after)
    return found


def _next(orders: Orders, runner: Runner, held: Held, settings: Settings, clock: Clock, *, room: bool) -> Held | None:
    status, now = held.status, clock.now()
    if status.over:
        if (now - datetime.fromisoformat(status.changed)).total_seconds() < settings.orders.kept:
            return held
        orders.remove(held)
        return None
    if now >= datetime.fromisoformat(held.order.expires) and status.state == "waiting":
        return _to(orders, held, clock, state="expired", note="nobody approved it in time")
    if status.state == "waiting" or alive(status, now) or _young(status, now) or not room:
        return held
    if status.attempts >= settings.orders.attempts:
        ended = Ended(outcome="failed", exit_code=1, summary=status.note or "no process that began with it came to an end",
                      next=f"irkit resume {status.incident}" if status.incident else f"irkit {held.order.words}")  # fmt: skip
        return _to(orders, held, clock, state="failed", ended=ended)
    begun = _to(orders, held, clock, attempts=status.attempts + 1, worker="", beat="")
    try:
        runner.start(begun)
    except IrkitError as error:
        return orders.update(begun, msgspec.structs.replace(begun.status, note=printable(error.message, 300)))
    return begun


def _young(status: Status, now: datetime) -> bool:
    """Whether a process was started just now, and has not said anything yet."""
    return status.attempts > 0 and not status.worker and (now - datetime.fromisoformat(status.changed)).total_seconds() < PATIENCE


def _to(orders: Orders, held: Held, clock: Clock, **changes: object) -> Held:
    return orders.update(held, msgspec.structs.replace(held.status, changed=stamp(clock), **changes))
