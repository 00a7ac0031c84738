"""Approving at a terminal: whoever the cluster lets create ``approvals.irkit.dev``, a resource that exists for this question alone."""

from __future__ import annotations

from irkit.app.orders.deciding import decide, refuse
from irkit.errors import Declined, ForbiddenError
from irkit.model.kube import Permission
from irkit.model.order import SYSTEM_NAMESPACE, Held, Origin
from irkit.ports import Orders, Ports

RIGHT = Permission(verb="create", group="irkit.dev", resource="approvals", namespace=SYSTEM_NAMESPACE)


def approve(ports: Ports, orders: Orders, identifier: str, *, yes: bool) -> Held:
    """Ask once more, then decide, as the user that the cluster knows. Raises ForbiddenError, RefusedError, Declined."""
    who = ports.connection.whoami()
    if not ports.cluster.can(RIGHT):
        raise ForbiddenError(f"{who.name} may not create approvals.irkit.dev in namespace {SYSTEM_NAMESPACE}",
                             next="ask somebody who may, or whoever administers the cluster's roles")  # fmt: skip
    held = orders.get(identifier)
    by, digest = Origin(door="cli", sender=who.name), held.status.planned.digest if held.status.planned else ""
    refuse(held, by, yes=yes, digest=digest, now=ports.clock.now())
    if yes and not ports.approver.confirm(f"Approve order {held.order.id}: {held.order.words}?"):
        raise Declined("nothing was decided", next=f"irkit approve {held.order.id}")
    return decide(orders, identifier, by, yes=yes, digest=digest, clock=ports.clock)
