"""Approving, declining and cancelling: by whom, of which plan, until when. A door has verified the person; here it is judged whether they may."""

from __future__ import annotations

from datetime import datetime

import msgspec

from irkit.app.orders.queue import alive, amend, checked
from irkit.app.orders.rights import lacking, may_approve, same
from irkit.engine.journal import stamp
from irkit.errors import RefusedError
from irkit.model.order import Decision, Held, Origin, Status
from irkit.ports import Clock
from irkit.ports.orders import Orders
from irkit.settings import Settings
from irkit.text import printable


def decide(
    orders: Orders, identifier: str, by: Origin, *, yes: bool, digest: str, clock: Clock, settings: Settings, groups: tuple[str, ...] = ()
) -> Held:
    """Take a decision on the plan of that digest. Where two persons are needed, the first yes leaves it waiting for another.

    ``groups``: of a user of the cluster, as it names them. Raises RefusedError where the decision does not count, and why.
    """

    def change(held: Held) -> Status:
        held = msgspec.structs.replace(held, order=checked(held.order, settings))
        refuse(held, by, yes=yes, digest=digest, now=clock.now(), settings=settings)
        decision = Decision(by=by, yes=yes, at=stamp(clock), digest=digest, groups=groups)
        said = msgspec.structs.replace(held.status, decisions=(*held.status.decisions, decision), changed=decision.at,
                                       note=f"{'approved' if yes else 'declined'} by {by.label}")  # fmt: skip
        if not yes:
            return msgspec.structs.replace(said, state="declined", worker="", beat="")
        if lack := lacking(held.order, said, settings):
            return msgspec.structs.replace(said, note=f"{said.note}; {lack}")
        return msgspec.structs.replace(said, state="queued", worker="", beat="", attempts=0)

    return amend(orders, identifier, change)


def cancel(orders: Orders, identifier: str, by: Origin, *, clock: Clock, settings: Settings) -> Held:
    """Take back what was not begun yet: whoever asked for it may, and whoever may approve it. Raises RefusedError."""

    def change(held: Held) -> Status:
        status = held.status
        if status.over or status.state == "running" or (status.state == "queued" and alive(status, clock.now())):
            raise RefusedError(f"order {held.order.id} can't be cancelled: it is {status.state}", next=f"irkit order show {held.order.id}")
        if same(by, held.order.origin, settings) is not True and (why := may_approve(held.order, by, settings)):
            raise RefusedError(why, next="ask whoever asked for it")
        decision = Decision(by=by, yes=False, at=stamp(clock), digest=status.planned.digest if status.planned else "")
        return msgspec.structs.replace(status, state="declined", changed=decision.at, decisions=(*status.decisions, decision), worker="", beat="",
                                       note=f"cancelled by {by.label}")  # fmt: skip

    return amend(orders, identifier, change)


def refuse(held: Held, by: Origin, *, yes: bool, digest: str, now: datetime, settings: Settings) -> None:
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
    if not yes and same(by, order.origin, settings) is True:
        return
    if why := may_approve(order, by, settings):
        raise RefusedError(f"{why}; nothing was changed", next="ask somebody who may")
    if yes and order.needs == "two":
        _refuse_one_for_two(held, by, settings)


def _refuse_one_for_two(held: Held, by: Origin, settings: Settings) -> None:
    order, name, who = held.order, f"order {held.order.id}", printable(by.label)
    if same(by, order.origin, settings) is True:
        raise RefusedError(f"{name} needs a second person: {who} asked for it, and can't approve it", next="ask somebody else")
    others = [d.by for d in held.status.approvals]
    if any(same(by, other, settings) is True for other in others):
        raise RefusedError(f"{name} needs a second person: {who} has approved it already", next="ask somebody else")
    if order.origin.door != "webhook":
        others.append(order.origin)
    if unknown := next((o for o in others if same(by, o, settings) is None), None):
        raise RefusedError(f"{name} needs a second person, and irkit can't know that {who} and {printable(unknown.label)} are two: "
                           "the settings do not name both under orders.people",
                           next="approve it through the door that it came by, or have both named in the settings")  # fmt: skip
