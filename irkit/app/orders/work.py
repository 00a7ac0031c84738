"""Carrying an order out: one process, one order. Killed anywhere, the next process goes on with the same incident.

The same code runs as a Job in the cluster and as a child of a listener on a laptop: it takes nothing but the order's id.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

import msgspec

from irkit.app import respond as responding
from irkit.app.going_on import resume
from irkit.app.orders import telling
from irkit.app.orders.approver import ByOrder
from irkit.app.orders.queue import BEAT, alive, amend
from irkit.engine import binder
from irkit.engine.events import Planned
from irkit.engine.home import Home
from irkit.engine.journal import stamp
from irkit.engine.result import RunResult, failed
from irkit.errors import Declined, HeldError, IrkitError, RefusedError
from irkit.model import order as orders_model
from irkit.model.order import Ended, Held, Status
from irkit.ports import Orders, Ports


def work(ports: Ports, orders: Orders, identifier: str, worker: str) -> int:
    """Do what the order needs next: plan it, or carry it out. Returns the exit code of what was done.

    ``worker`` names this process. Raises HeldError where another one has the order, UsageError where there is none.
    """
    held = _claim(ports, orders, identifier, worker)
    if held.status.over or held.status.state == "waiting":
        return 0
    where = ports.connection.identify()
    if where.uid != held.order.cluster:
        raise RefusedError(f"order {held.order.id} is for cluster {held.order.cluster}, this is {where.uid}; nothing was changed")
    with _beating(ports, orders, held, worker) as say:
        result = _plan(ports, orders, held, say) if held.status.state == "planning" else _run(ports, orders, held, say)
    return result.exit_code


def _claim(ports: Ports, orders: Orders, identifier: str, worker: str) -> Held:
    def change(held: Held) -> Status | None:
        status, now = held.status, ports.clock.now()
        if status.over or status.state == "waiting":
            return None
        if alive(status, now) and status.worker != worker:
            raise HeldError(f"order {held.order.id}", status.worker)
        if status.state in ("planning", "queued") and now >= datetime.fromisoformat(held.order.expires):
            return msgspec.structs.replace(status, state="expired", changed=stamp(ports.clock), note="nobody began with it in time")
        at = stamp(ports.clock)
        state = "planning" if status.state == "planning" else "running"
        return msgspec.structs.replace(status, state=state, worker=worker, beat=at, changed=at)

    return amend(orders, identifier, change)


@contextmanager
def _beating(ports: Ports, orders: Orders, held: Held, worker: str) -> Iterator[Callable[[str], None]]:
    """Signs of life while the order is worked on; what is said goes out with the next one."""
    over, notes = threading.Event(), [held.status.note]

    def beat(current: Held) -> Status | None:
        status = current.status
        if status.worker != worker or status.over:
            return None
        return msgspec.structs.replace(status, beat=stamp(ports.clock), note=notes[-1])

    def beats() -> None:
        said, quiet = notes[-1], 0.0
        while not over.wait(0.5):
            quiet += 0.5
            if notes[-1] != said or quiet >= BEAT:
                said, quiet = notes[-1], 0.0
                with suppress(IrkitError):  # the next one tries again
                    amend(orders, held.order.id, beat)

    thread = threading.Thread(target=beats, name="irkit-beat", daemon=True)
    thread.start()
    try:
        yield notes.append
    finally:
        over.set()
        thread.join(5.0)


def _request(held: Held, *, dry_run: bool) -> responding.Request:
    order = held.order
    return responding.Request(
        command=order.command, playbook=order.playbook, target=order.target, namespace=order.namespace, phase=order.phase,
        parameters=dict(order.parameters), take=order.take, read_only=order.command == "collect", dry_run=dry_run,
        identifier=held.status.incident,
    )  # fmt: skip


def _plan(ports: Ports, orders: Orders, held: Held, say: Callable[[str], None]) -> RunResult:
    """Plan it, for people to decide upon. The incident's id is chosen here: it is in the plan, and so in what is approved."""
    if not held.status.incident:
        name = binder.promised_id(held.order.target, ports.clock)
        held = amend(orders, held.order.id, lambda h: msgspec.structs.replace(h.status, incident=h.status.incident or name))
    seen: list[Planned] = []

    def listen(event: object) -> None:
        if isinstance(event, Planned):
            seen.append(event)

    say("looking at the cluster")
    try:
        result = responding.respond(msgspec.structs.replace(ports, listen=listen), _request(held, dry_run=True))
        planned = telling.planned(seen[-1])
    except IrkitError as error:
        return _over(ports, orders, held, failed(error, held.order.command))
    incident = seen[-1].header.incident.id

    def change(current: Held) -> Status:
        state = "waiting" if planned.intents else "queued"
        return msgspec.structs.replace(current.status, state=state, planned=planned, incident=incident, worker="", beat="", attempts=0,
                                       changed=stamp(ports.clock), note="waits for a decision" if planned.intents else "")  # fmt: skip

    amend(orders, held.order.id, change)
    return result


def _run(ports: Ports, orders: Orders, held: Held, say: Callable[[str], None]) -> RunResult:
    """Carry it out, or go on where an earlier attempt was killed."""
    if not held.status.incident:
        name = binder.promised_id(held.order.target, ports.clock)
        held = amend(orders, held.order.id, lambda h: msgspec.structs.replace(h.status, incident=h.status.incident or name))
    approver = ByOrder(held, ports.clock)

    def listen(event: object) -> None:
        if text := telling.progress(event):
            say(text)
        ports.listen(event)

    inside = msgspec.structs.replace(ports, approver=approver, listen=listen, ordered=(held.order, held.status.decisions))
    try:
        if held.status.incident in Home(ports.settings.home).ids():
            result = resume(inside, held.status.incident, held.order.command)
        else:
            result = responding.respond(inside, _request(held, dry_run=False))
    except IrkitError as error:
        result = failed(error, held.order.command)
        if isinstance(error, Declined) and approver.unplanned:
            result.outcome = "declined"
    if approver.unplanned and held.order.needs != "nobody":
        return _again(ports, orders, held, result)
    return _over(ports, orders, held, result)


def _again(ports: Ports, orders: Orders, held: Held, result: RunResult) -> RunResult:
    """The plan is more than what was approved: it is shown anew, and waits again (design.md law 5)."""

    def change(current: Held) -> Status:
        return msgspec.structs.replace(current.status, state="planning", planned=None, worker="", beat="", attempts=0, changed=stamp(ports.clock),
                                       incident=result.incident or current.status.incident, note="more is needed than was approved")  # fmt: skip

    amend(orders, held.order.id, change)
    return result


def _over(ports: Ports, orders: Orders, held: Held, result: RunResult) -> RunResult:
    ended: Ended = telling.ended(result, ports.evidence)

    def change(current: Held) -> Status:
        state: orders_model.State = "failed" if result.outcome == "failed" else "done"
        return msgspec.structs.replace(current.status, state=state, ended=ended, worker="", beat="", changed=stamp(ports.clock), note="",
                                       incident=result.incident or current.status.incident)  # fmt: skip

    amend(orders, held.order.id, change)
    return result
