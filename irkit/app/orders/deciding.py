"""Approving and declining: by whom, of which plan, until when. A door has verified the person; here it is judged whether they may."""

from __future__ import annotations

from datetime import datetime

import msgspec

from irkit.app.orders.queue import amend
from irkit.engine.journal import stamp
from irkit.errors import RefusedError
from irkit.model.order import Decision, Held, Origin, Status
from irkit.ports import Clock, Orders
from irkit.text import printable


def decide(orders: Orders, identifier: str, by: Origin, *, yes: bool, digest: str, clock: Clock) -> Held:
    """Take a decision on the plan of that digest. Raises RefusedError where it does not count, and why."""

    def change(held: Held) -> Status:
        refuse(held, by, yes=yes, digest=digest, now=clock.now())
        decision = Decision(by=by, yes=yes, at=stamp(clock), digest=digest)
        note = f"{'approved' if yes else 'declined'} by {by.label}"
        return msgspec.structs.replace(
            held.status, state="queued" if yes else "declined", changed=decision.at, decisions=(*held.status.decisions, decision), note=note,
            worker="", beat="", attempts=0,
        )  # fmt: skip

    return amend(orders, identifier, change)


def refuse(held: Held, by: Origin, *, yes: bool, digest: str, now: datetime) -> None:
    """Raises RefusedError where this person's word on this plan does not count now."""
    order, status, name = held.order, held.status, f"order {held.order.id}"
    following = f"irkit order show {order.id}"
    if status.state != "waiting" or status.planned is None:
        said = next((d for d in reversed(status.decisions)), None)
        who = f" ({'approved' if said.yes else 'declined'} by {printable(said.by.label)} at {said.at})" if said else ""
        raise RefusedError(f"{name} does not wait for a decision: it is {status.state}{who}", next=following)
    if now >= datetime.fromisoformat(order.expires):
        raise RefusedError(f"{name} expired at {order.expires}; nothing was changed", next="order it once more")
    if digest != status.planned.digest:
        raise RefusedError(f"{name} has another plan now than the one that was decided upon; nothing was changed", next=following)
    if yes and order.needs == "two" and _same(by, order.origin):
        raise RefusedError(f"{name} needs a second person: {printable(by.label)} asked for it, and can't approve it", next="ask somebody else")


def _same(one: Origin, other: Origin) -> bool:
    return (one.door, one.team, one.sender) == (other.door, other.team, other.sender)
