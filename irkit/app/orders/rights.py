"""Whose word counts: by the settings, and by the cluster, as both are now. Asked when somebody decides, and again before anything is done."""

from __future__ import annotations

import msgspec

from irkit.errors import ForbiddenError
from irkit.model.kube import SUBJECTACCESSREVIEWS, Obj, Permission, at
from irkit.model.order import SYSTEM_NAMESPACE, Decision, Order, Origin, Status
from irkit.ports import Cluster
from irkit.settings import Settings
from irkit.text import printable

RIGHT = Permission(verb="create", group="irkit.dev", resource="approvals", namespace=SYSTEM_NAMESPACE)
"""``approvals.irkit.dev`` is a resource that exists for this question alone."""


def may_approve(order: Order, by: Origin, settings: Settings) -> str:
    """Why this person may not decide on this order by the settings; empty where they may. Door cli: the cluster decides (`still_may`)."""
    who = printable(by.label, 200)
    if by.door == "cli":
        return ""
    if by.door != "slack":
        return f"{who} is no person: it approves nothing"
    if not settings.slack.team or by.team != settings.slack.team:
        return f"{who} is of another workspace than the settings name"
    if not (groups := approving(order, settings)):
        return f"the settings name no group that may approve order {order.id} in a chat"
    if not settings.slack.groups(by.sender) & set(groups):
        return f"{who} is in none of the groups that may approve order {order.id}: {printable(', '.join(groups), 200)}"
    return ""


def approving(order: Order, settings: Settings) -> tuple[str, ...]:
    """The groups that may approve it in a chat: by the settings, of which the order, written by a listener, may name fewer, never others."""
    known = settings.slack.approving(order.playbook, order.command)
    return tuple(g for g in known if g in order.approvers) if order.approvers else known


def still_may(cluster: Cluster, decision: Decision) -> str:
    """Why a decision at a terminal does not count any more; empty where it does. Raises ForbiddenError where we may not ask.

    The user's groups are those that the cluster named when they decided: it keeps no list of them.
    """
    attributes = {f: value for f in RIGHT.__struct_fields__ if (value := getattr(RIGHT, f))}
    review: Obj = {"apiVersion": SUBJECTACCESSREVIEWS.api_version, "kind": SUBJECTACCESSREVIEWS.kind,
                   "spec": {"user": decision.by.sender, "groups": list(decision.groups), "resourceAttributes": attributes}}  # fmt: skip
    if at(cluster.create(SUBJECTACCESSREVIEWS, review), ("status", "allowed")) is True:
        return ""
    return f"{printable(decision.by.label, 200)} may not create approvals.irkit.dev any more"


def reviewed(cluster: Cluster, order: Order, decisions: tuple[Decision, ...], settings: Settings) -> tuple[tuple[Decision, ...], str]:
    """The decisions, those void that do not count any more; and what could not be checked again."""
    found, unchecked = [], ""
    for decision in decisions:
        why = decision.void
        if decision.yes and not why:
            why = may_approve(order, decision.by, settings)
        if decision.yes and not why and decision.by.door == "cli":
            try:
                why = still_may(cluster, decision)
            except ForbiddenError as error:
                unchecked = f"whether {printable(decision.by.label, 200)} may still approve was not checked: {error.message}"
        found.append(decision if why == decision.void else msgspec.structs.replace(decision, void=why))
    return tuple(found), unchecked


def lacking(order: Order, status: Status, settings: Settings) -> str:
    """What the plan of this order still needs to be approved; empty: nothing."""
    if order.needs == "nobody":
        return ""
    if not status.approvals:
        return "it needs somebody's approval"
    if order.needs == "one":
        return ""
    people: list[Origin] = []
    for by in (*([order.origin] if order.origin.door != "webhook" else []), *(d.by for d in status.approvals)):
        if all(same(by, other, settings) is False for other in people):
            people.append(by)
    return "" if len(people) > 1 else "it needs a second person"


def same(one: Origin, other: Origin, settings: Settings) -> bool | None:
    """Whether two names are one person; None where irkit can't know: they came through different doors, and no setting ties them to people."""
    first, second = _name(one, settings), _name(other, settings)
    if first and second:
        return first == second
    if one.door != other.door:
        return None
    return (one.team, one.sender) == (other.team, other.sender)


def _name(by: Origin, settings: Settings) -> str:
    """The person behind a name, as the settings call them."""
    for name, person in settings.orders.people.items():
        if by.sender in {"slack": person.slack, "cli": person.cluster}.get(by.door, ()):
            return name
    return ""
