"""The queue: what every process that works on orders does with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import msgspec

from irkit.engine import library
from irkit.engine.binder import parse
from irkit.engine.journal import stamp
from irkit.errors import ConflictError, RefusedError, UsageError
from irkit.model.order import Command, Held, Needs, Order, Origin, Status, identifier
from irkit.model.playbook import Playbook
from irkit.ports import Clock
from irkit.ports.orders import Orders
from irkit.settings import Settings
from irkit.text import printable

BEAT = 5.0  # seconds between two signs of life
STALE = 60.0  # seconds without one, after which another process may take an order over
PLAYBOOKS: Mapping[str, str] = {"collect": "collect-only", "contain": "compromised-pod"}
"""What the commands do that name no playbook."""
_TRIES = 20
_STRICTER: tuple[Needs, ...] = ("nobody", "one", "two")


def compose(
    key: str, origin: Origin, command: Command, target: str, namespace: str, *, cluster: str, clock: Clock, settings: Settings,
    playbook: str = "", phase: str = "", parameters: dict[str, str] | None = None, take: tuple[str, ...] = (), needs: Needs | None = None,
    approvers: tuple[str, ...] = (), rule: str = "", because: str = "",
) -> Order:  # fmt: skip
    """An order, checked. ``key``: the event; the same key makes the same order. ``needs``: at least; else as the playbook says.

    Raises UsageError for what names no target or no playbook, RefusedError for what nobody may order.
    """
    name = playbook or PLAYBOOKS.get(command, "")
    now, phase = clock.now(), phase or ("containment" if command == "contain" else "")
    return checked(Order(
        id=identifier(key), origin=origin, command=command, playbook=name, target=target, namespace=namespace, cluster=cluster,
        created=stamp(clock), expires=(now + timedelta(seconds=settings.orders.lifetime)).isoformat(), needs=needs or "nobody",
        approvers=approvers, phase=phase, parameters=parameters or {}, take=take, rule=rule,
        because=printable(because, 300) if because else "",
    ), settings)  # fmt: skip


def checked(order: Order, settings: Settings) -> Order:
    """The order, as strict as playbook and settings want it. Asked by the door, and again by the worker, who need not believe the door.

    Raises UsageError for what names no target or no playbook, RefusedError for what nobody may order.
    """
    found = library.find(order.playbook, settings)
    if order.command == "collect" and order.playbook != PLAYBOOKS["collect"]:
        raise RefusedError(f"{printable(order.playbook)} is more than evidence: it is no playbook to collect by")
    if not order.namespace:
        raise UsageError("name the namespace: -n NAMESPACE")
    parse(order.target, None, found.target.type if found.target else "pod")
    parse(f"pod/{order.namespace}")  # a namespace's name is a stricter RFC 1123 label; what it is not, the cluster says
    if order.namespace in settings.protected_namespaces:
        raise RefusedError(f"namespace {printable(order.namespace)} is protected: nobody can order anything there",
                           next=f"irkit {order.command} {printable(order.target)} -n {printable(order.namespace)}, at a terminal")  # fmt: skip
    strictest = max(order.needs, required(order.command, found, order.phase), key=_STRICTER.index)
    return msgspec.structs.replace(order, needs=strictest)


def required(command: Command, playbook: Playbook, phase: str) -> Needs:
    """Evidence alone changes nothing in the cluster; everything else somebody must approve, or two where the playbook says so."""
    if command == "collect":
        return "nobody"
    alone = playbook.approval == "one-person" or (playbook.approval == "two-person-after-containment" and phase == "containment")
    return "one" if alone else "two"


def submit(orders: Orders, order: Order, clock: Clock) -> tuple[Held, bool]:
    """Put it into the queue; the order there is, and whether it is new. Raises QueueFullError."""
    first = Status(state="queued" if order.needs == "nobody" else "planning", changed=stamp(clock))
    added = orders.add(order, first)
    return (added, True) if added is not None else (orders.get(order.id), False)


def amend(orders: Orders, identifier: str, change: Callable[[Held], Status | None]) -> Held:
    """Update an order however often others do, too. ``change`` returns None where nothing is to be done; what it raises stops it."""
    for _ in range(_TRIES):
        held = orders.get(identifier)
        if (status := change(held)) is None:
            return held
        try:
            return orders.update(held, status)
        except ConflictError:
            continue
    raise RefusedError(f"order {printable(identifier)} changes all the time", next="irkit order show " + printable(identifier))


def alive(status: Status, now: datetime) -> bool:
    """Whether some process works on it, as far as can be told from here."""
    if not status.worker or not status.beat:
        return False
    age = (now - datetime.fromisoformat(status.beat)).total_seconds()
    return -3600 <= age < STALE
