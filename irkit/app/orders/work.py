"""Carrying an order out: one process, one order. Killed anywhere, the next process goes on with the same incident.

The same code runs as a Job in the cluster and as a child of a listener on a laptop: it takes nothing but the order's id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from irkit.app import respond as responding
from irkit.app.going_on import resume
from irkit.app.orders import rights, telling
from irkit.app.orders.approver import ByOrder
from irkit.app.orders.beating import Say, beating
from irkit.app.orders.queue import alive, amend, checked
from irkit.engine import announcing, binder, handover, journal
from irkit.engine.events import Planned
from irkit.engine.home import Home
from irkit.engine.journal import stamp
from irkit.engine.result import RunResult, failed
from irkit.errors import Declined, HeldError, InterruptedRun, IrkitError, RefusedError, UnreachableError, UsageError
from irkit.model.order import Held, Order, State, Status
from irkit.model.record import Line, Ordered, Ran
from irkit.ports import Ports
from irkit.ports.orders import Orders
from irkit.text import printable

_PASSING = (UnreachableError, HeldError, InterruptedRun)  # the next process may have more luck


def work(ports: Ports, orders: Orders, identifier: str, worker: str, stop: Callable[[], None]) -> int:
    """Do what the order needs next: plan it, or carry it out. Returns the exit code of what was done.

    ``worker`` names this process; ``stop`` interrupts it (KeyboardInterrupt in its main thread), where it lost the order to
    another one. Raises HeldError where another one has the order, UsageError where there is none.
    """
    held = _claim(ports, orders, identifier, worker)
    if held.status.over or held.status.state == "waiting":
        return 0
    with beating(ports, orders, held, stop) as say:
        done = Worker(ports, orders, worker, say)
        code = done.do(held).exit_code
    done.tell()  # a pager may be slow, and the order is not this process's any more
    return code


def _claim(ports: Ports, orders: Orders, identifier: str, worker: str) -> Held:
    def change(held: Held) -> Status | None:
        status, now = held.status, ports.clock.now()
        if status.over or status.state == "waiting":
            return None
        if alive(status, now) and status.worker != worker:
            raise HeldError(f"order {held.order.id}", status.worker)
        at = stamp(ports.clock)
        if status.state in ("planning", "queued") and now >= datetime.fromisoformat(held.order.expires):
            return msgspec.structs.replace(status, state="expired", changed=at, note="nobody began with it in time")
        state: State = "planning" if status.state == "planning" else "running"
        return msgspec.structs.replace(status, state=state, worker=worker, beat=at, changed=at)

    return amend(orders, identifier, change)


class Worker:
    """One process with one order that it has claimed."""

    def __init__(self, ports: Ports, orders: Orders, name: str, say: Say) -> None:
        self._ports, self._orders, self._name, self._say = ports, orders, name, say
        self._fresh = False  # whether the incident's id was promised just now: then nobody has it yet
        self.tell: Callable[[], None] = lambda: None  # whoever wants to know what came of it

    def do(self, held: Held) -> RunResult:
        """What comes next. Not for another cluster than the order's."""
        try:
            where = self._ports.connection.identify()
            if where.uid != held.order.cluster:
                theirs = printable(held.order.cluster, 60)
                raise RefusedError(f"order {held.order.id} is for cluster {theirs}, this is {where.uid}; nothing was changed")
            held = self._promised(held)
            held = msgspec.structs.replace(held, order=checked(held.order, self._ports.settings))
        except IrkitError as error:
            return self._failed(held, error)
        return self.plan(held) if held.status.state == "planning" else self.run(held)

    def plan(self, held: Held) -> RunResult:
        """Plan it, for people to decide upon. The incident's id is chosen before: it is in the plan, and so in what is approved."""
        seen: list[Planned] = []

        def listen(event: object) -> None:
            if isinstance(event, Planned):
                seen.append(event)

        self._say("looking at the cluster")
        try:
            result = responding.respond(
                msgspec.structs.replace(self._ports, listen=listen), _request(held, dry_run=True, identifier=held.status.incident)
            )
            planned = telling.planned(seen[-1], held.order)
        except IrkitError as error:
            return self._failed(held, error)
        if planned.intents:
            note = "; ".join(n for n in ("waits for a decision", held.status.note) if n)
            self._hand_back(held, state="waiting", planned=planned, incident=seen[-1].header.incident.id, note=note)
            self.tell = lambda: announcing.wanted(self._ports, held.order, planned, seen[-1].header.incident)
        else:
            self._hand_back(held, state="queued", planned=planned, incident=seen[-1].header.incident.id, note="")
        return result

    def run(self, held: Held) -> RunResult:
        """Carry it out, or go on where an earlier process was killed."""
        try:
            decisions, unchecked = rights.reviewed(self._ports.cluster, held.order, held.status.decisions, self._ports.settings)
        except IrkitError as error:
            return self._failed(held, error)
        held = msgspec.structs.replace(held, status=msgspec.structs.replace(held.status, decisions=decisions))
        lack = rights.lacking(held.order, held.status, self._ports.settings)
        if lack and (held.status.planned is None or held.status.planned.intents):  # a plan of nothing needs nobody; what is more then is asked for
            gone = "; ".join(d.void for d in decisions if d.void)
            return self._again(held, f"{gone}; {lack}" if gone else lack, failed(Declined(lack), held.order.command))
        approver = ByOrder(held, self._ports.clock)
        try:
            result = self._carried_out(held, approver)
        except IrkitError as error:
            if isinstance(error, Declined) and approver.unplanned:
                result = failed(error, held.order.command)
                result.outcome = "declined"
            else:
                return self._failed(held, error)
        if approver.unplanned and held.order.needs != "nobody":
            return self._again(held, "more is needed than was approved", result)
        return self._over(held, result, unchecked)

    def _carried_out(self, held: Held, approver: ByOrder) -> RunResult:
        def listen(event: object) -> None:
            if text := telling.progress(event):
                self._say(text)
            self._ports.listen(event)

        inside = msgspec.structs.replace(self._ports, approver=approver, listen=listen, ordered=(held.order, held.status.decisions))
        lines = None if self._fresh else self._known(held.status.incident)
        if lines is not None and _opened_by(held.order, lines):  # an earlier process of this order
            return resume(inside, held.status.incident, held.order.command)
        # one that was open before is joined with what the order wants of it, and its id is nobody else's
        return responding.respond(inside, _request(held, dry_run=False, identifier="" if lines is not None else held.status.incident))

    def _known(self, identifier: str) -> Sequence[Line] | None:
        """The journal of that incident, on this disk or as its copy in the cluster tells it; None where there is none."""
        home = Home(self._ports.settings.home)
        if identifier in home.ids():
            return journal.read(home.journal(identifier)).lines
        try:
            return handover.look(self._ports.cluster, identifier)[1]
        except UsageError:
            return None

    def _promised(self, held: Held) -> Held:
        if held.status.incident:
            return held
        name, self._fresh = binder.promised_id(held.order.target, self._ports.clock), True
        self._amend(held, incident=name)
        promised = self._orders.get(held.order.id)
        if promised.status.worker != self._name:
            raise HeldError(f"order {held.order.id}", promised.status.worker)
        return promised

    def _again(self, held: Held, why: str, result: RunResult) -> RunResult:
        """The plan is not approved, or is more than what was: it is shown anew, and waits again (design.md law 5)."""
        decisions = tuple(msgspec.structs.replace(d, void=d.void or why) for d in held.status.decisions)
        incident = result.incident or held.status.incident
        self._hand_back(held, state="planning", planned=None, decisions=decisions, incident=incident, note=why)
        return result

    def _hand_back(self, held: Held, **changes: object) -> None:
        """What is to be done next is begun by another process."""
        self._amend(held, worker="", beat="", attempts=0, changed=stamp(self._ports.clock), **changes)

    def _failed(self, held: Held, error: IrkitError) -> RunResult:
        result = failed(error, held.order.command)
        if isinstance(error, _PASSING):
            self._amend(held, worker="", beat="", changed=stamp(self._ports.clock), note=printable(error.message, 300))
            return result
        return self._over(held, result)

    def _over(self, held: Held, result: RunResult, note: str = "") -> RunResult:
        ended = telling.ended(result, self._ports.evidence)
        incident = result.incident or held.status.incident
        url, lost = self._pushed(incident) if ended.bundle else ("", "")
        if notes := "; ".join(text for text in (lost, note) if text):
            ended = msgspec.structs.replace(ended, summary=printable(f"{ended.summary}; {notes}", 600))
        state: State = "failed" if result.outcome == "failed" else "done"
        ended = msgspec.structs.replace(ended, pushed=url)
        self._amend(held, state=state, ended=ended, worker="", beat="", changed=stamp(self._ports.clock), note="", incident=incident)
        return result

    def _pushed(self, incident: str) -> tuple[str, str]:
        """Where the first bag lies in an object store, and which are not there though the settings want it: the run itself pushes them."""
        store = self._ports.settings.store
        if store is None or not store.push:
            return "", ""
        try:
            found = Home(self._ports.settings.home).load(incident)
        except IrkitError as error:
            return "", f"whether the evidence was pushed is not known: {error.message}"
        missing = [str(n) for n, _ in enumerate(found.bags, 1) if n not in found.pushed]
        lost = f"bag {', '.join(missing)} was not pushed: irkit bundle push {incident}" if missing else ""
        return found.pushed[1].url if 1 in found.pushed else "", lost

    def _amend(self, held: Held, **changes: object) -> None:
        """Unless another process has the order now: then what this one says of it does not count."""

        def change(current: Held) -> Status | None:
            return msgspec.structs.replace(current.status, **changes) if current.status.worker == self._name else None

        amend(self._orders, held.order.id, change)


def _opened_by(order: Order, lines: Sequence[Line]) -> bool:
    first = next((line.body for line in lines if isinstance(line.body, Ran)), None)
    return any(isinstance(b := line.body, Ordered) and first is not None and b.run == first.run and b.order.id == order.id for line in lines)


def _request(held: Held, *, dry_run: bool, identifier: str) -> responding.Request:
    order = held.order
    return responding.Request(
        command=order.command, playbook=order.playbook, target=order.target, namespace=order.namespace, phase=order.phase,
        parameters=dict(order.parameters), take=order.take, read_only=order.command == "collect", dry_run=dry_run,
        identifier=identifier,
    )  # fmt: skip
