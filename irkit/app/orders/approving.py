"""Approving at a terminal: whoever the cluster lets create ``approvals.irkit.dev``."""

from __future__ import annotations

from irkit.app.orders import deciding
from irkit.app.orders.rights import RIGHT, same
from irkit.errors import Declined, ForbiddenError
from irkit.model.order import SYSTEM_NAMESPACE, Held, Origin
from irkit.ports import Ports
from irkit.ports.orders import Orders


def approve(ports: Ports, orders: Orders, held: Held, *, yes: bool) -> Held:
    """Ask once more, then decide, as the user that the cluster knows. ``held``: the order as it was shown, for that plan is what they decide upon.

    Raises ForbiddenError, RefusedError, Declined.
    """
    by, groups = _me(ports)
    _need(ports, by)
    digest = held.status.planned.digest if held.status.planned else ""
    deciding.refuse(held, by, yes=yes, digest=digest, now=ports.clock.now(), settings=ports.settings)
    if yes and not ports.approver.confirm(f"Approve order {held.order.id}: {held.order.words}?"):
        raise Declined("nothing was decided", next=f"irkit approve {held.order.id}")
    return deciding.decide(orders, held.order.id, by, yes=yes, digest=digest, clock=ports.clock, settings=ports.settings, groups=groups)


def cancel(ports: Ports, orders: Orders, identifier: str) -> Held:
    """Take an order back, as whoever asked for it at a terminal, or as somebody who may approve it. Raises ForbiddenError, RefusedError."""
    by, _ = _me(ports)
    if same(by, orders.get(identifier).order.origin, ports.settings) is not True:
        _need(ports, by)
    return deciding.cancel(orders, identifier, by, clock=ports.clock, settings=ports.settings)


def _me(ports: Ports) -> tuple[Origin, tuple[str, ...]]:
    who = ports.connection.whoami()
    return Origin(door="cli", sender=who.name), who.groups


def _need(ports: Ports, by: Origin) -> None:
    if not ports.cluster.can(RIGHT):
        raise ForbiddenError(f"{by.sender} may not create approvals.irkit.dev in namespace {SYSTEM_NAMESPACE}",
                             next="ask somebody who may, or whoever administers the cluster's roles")  # fmt: skip
