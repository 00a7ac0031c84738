"""Orders and statuses without a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from irkit.adapters.orderfiles import OrderFiles
from irkit.app.orders.queue import submit
from irkit.model.order import Held, Needs, Order, Origin, Planned, identifier
from irkit.settings import Settings
from irkit.settings.orders import OrderSettings, Person
from irkit.settings.slack import SlackSettings
from tests.clocks import StepClock
from tests.orders.desk import ANN

PLAN = Planned(digest="d" * 64, intents=("1" * 64,), lines=("create NetworkPolicy a/b",))
SETTINGS = Settings(
    slack=SlackSettings(
        team="T1", approvers={"contain": ("leads", "readers")}, users={"U1": ("leads",), "U2": ("leads",), "U3": ("leads",), "U9": ("readers",)}
    ),
    orders=OrderSettings(
        people={
            "ann": Person(slack=("U1", "U11"), cluster=("ann@example.com",)),
            "bob": Person(slack=("U2",), cluster=("bob@example.com",)),
        }
    ),
)


def cli(name: str) -> Origin:
    return Origin(door="cli", sender=name)


def order(key: str = "k", needs: Needs = "one", by: Origin = ANN, **more: Any) -> Order:
    given = {"created": "2026-11-22T03:00:00.000Z", "expires": "2026-11-22T04:00:00+00:00", "approvers": ("leads",), "target": "web", **more}
    given = {"command": "contain", "playbook": "compromised-pod", "phase": "containment", "namespace": "shop", **given}
    return Order(id=identifier(key), origin=by, cluster="uid", needs=needs, **given)


def waiting(directory: Path, needs: Needs = "one", by: Origin = ANN) -> tuple[OrderFiles, Held, StepClock]:
    """An order that was planned, in a queue of its own."""
    queue, clock = OrderFiles(directory, 10), StepClock()
    held, _ = submit(queue, order(needs=needs, by=by), clock)
    return queue, queue.update(held, msgspec.structs.replace(held.status, state="waiting", planned=PLAN)), clock
