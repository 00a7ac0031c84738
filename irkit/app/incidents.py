"""Looking at incidents: from their journals, on this machine and, where it is asked, in the cluster."""

from __future__ import annotations

from typing import Any

from irkit import API_VERSION
from irkit.app import closing
from irkit.engine import handover, journal
from irkit.engine.home import Home
from irkit.engine.result import elsewhere
from irkit.engine.state import State
from irkit.errors import EvidenceError, IrkitError, UsageError
from irkit.evidence.store import BagStore
from irkit.model.outcome import reason, word
from irkit.model.record import (
    Approved,
    Assigned,
    Body,
    Closed,
    Intent,
    Line,
    Ordered,
    Pushed,
    Ran,
    Refused,
    Result,
    Sealed,
    StepEnded,
    Told,
    Waived,
    Watched,
)
from irkit.model.titles import title
from irkit.ports import ClusterReader
from irkit.ports.orders import Orders
from irkit.settings import Settings
from irkit.text import plural, printable


def summaries(settings: Settings) -> list[dict[str, Any]]:
    """One entry an incident of this machine, newest first; one whose journal can't be read says so as its status."""
    home, found = Home(settings.home), []
    for identifier in home.ids():
        try:
            found.append(_summary(home.load(identifier), "here"))
        except EvidenceError as error:
            found.append(_unreadable(identifier, error.message, "here"))
    return found


def known(settings: Settings, identifier: str | None) -> bool:
    """Whether this machine has that incident; without an id, whether it has any."""
    ids = Home(settings.home).ids()
    return identifier in ids if identifier else bool(ids)


def shared(cluster: ClusterReader, orders: Orders | None = None, *, over: bool = False) -> list[dict[str, Any]]:
    """The incidents that the cluster knows of, newest first: of colleagues, of chats and alerts. None where it keeps none.

    As `summaries`, with ``where`` cluster; ``signed``: whether its signature was checked and is right. What can't be believed
    says so as its status. ``orders``: those that are carried out now, of which there may be no copy yet. ``over``: also what
    was lifted or closed. Raises ForbiddenError, UnreachableError.
    """
    found = [_unreadable(name, state.message, "cluster") if isinstance(state, IrkitError) else {**_summary(state, "cluster"), "signed": signed}
             for name, state, signed in handover.look_all(cluster, over=over)]  # fmt: skip
    copied = {item["id"] for item in found}
    for held in orders.list() if orders is not None else ():
        if held.status.incident and held.status.incident not in copied and not held.status.over:
            order = held.order
            found.append(_item(held.status.incident, f"{held.status.state} (order {order.id})", "cluster", pod=order.target,
                               namespace=order.namespace, summary=order.because, opened=held.status.changed))  # fmt: skip
    return sorted(found, key=lambda item: str(item["id"]), reverse=True)


def merged(here: list[dict[str, Any]], there: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Both, each incident once, newest first. One that both have is told as on this machine, and marked where it went on elsewhere."""
    found = {item["id"]: item for item in here}
    for item in there:
        mine = found.get(item["id"])
        if mine is None:
            found[item["id"]] = item
        else:
            gone_on = item["lines"] > mine["lines"]
            where = "gone on with elsewhere" if gone_on else "here and cluster"
            found[item["id"]] = {**(item if gone_on else mine), "signed": item["signed"], "where": where}
    return sorted(found.values(), key=lambda item: str(item["id"]), reverse=True)


def _summary(state: State, where: str) -> dict[str, Any]:
    target = state.incident.target
    return _item(state.incident.id, state.status, where, kind=target.pod.kind, pod=target.pod.name, namespace=target.namespace,
                 context=state.incident.cluster.context, bags=len(state.bags), opened=state.incident.opened, severity=state.severity,
                 summary=state.reported.summary, operator=state.incident.operator.name, roles=state.roles, lines=state.lines)  # fmt: skip


def _unreadable(identifier: str, why: str, where: str) -> dict[str, Any]:
    return _item(identifier, f"unreadable: {why}", where)


def _item(identifier: str, status: str, where: str, **more: Any) -> dict[str, Any]:
    return {"id": identifier, "status": status, "where": where, "kind": "", "pod": "", "namespace": "", "context": "", "bags": 0,
            "opened": "", "severity": "", "summary": "", "operator": "", "roles": {}, "lines": 0, "signed": False, **more}  # fmt: skip


def show(settings: Settings, identifier: str | None, cluster: ClusterReader | None = None) -> dict[str, Any]:
    """Everything a person wants to know of one incident. Raises UsageError, EvidenceError, RefusedError.

    ``cluster``: also look there, for what colleagues did, and for incidents that this machine does not have. Nothing is
    taken over.
    """
    home = Home(settings.home)
    if identifier is None:
        identifier = next(iter(home.ids()), None) or _newest(cluster)
    if identifier is None:
        raise UsageError("there are no incidents on this machine", next="irkit contain POD -n NAMESPACE")
    state, lines, where = _found(home, identifier, cluster)
    incident = state.incident
    target, said = incident.target, state.reported
    left = closing.left(state, BagStore(home.directory(identifier) / "bags"))
    here = [home.directory(identifier) / "bags" / str(n) for n in range(1, len(state.bags) + 1)]
    return {
        "apiVersion": API_VERSION, "kind": "Incident", "id": identifier, "status": state.status, "where": where, "opened": incident.opened,
        "severity": state.severity, "reportedBy": said.by, "summary": said.summary, "startedAt": said.started_at,
        "operator": incident.operator.name, "roles": state.roles, "playbook": f"{incident.playbook} {incident.phase}".strip(),
        "context": incident.cluster.context, "server": incident.cluster.server, "cluster": incident.cluster.uid, "target": str(target.pod),
        "workload": str(target.workload) if target.workload else "none", "timeline": _timeline(lines, state),
        "bags": [str(bag) for bag in here if bag.is_dir()], "elsewhere": elsewhere(state, here),
        "left": [one.what for one in left], "closed": _closed(lines), "next": left[0].next if left else _next(state),
    }  # fmt: skip


def _newest(cluster: ClusterReader | None) -> str | None:
    found = handover.look_all(cluster, over=True) if cluster is not None else ()
    return max((name for name, state, _ in found if isinstance(state, State)), default=None)


def _found(home: Home, identifier: str, cluster: ClusterReader | None) -> tuple[State, tuple[Line, ...], str]:
    """The incident as it is on this machine, or as the cluster has it where that is more."""
    if identifier not in home.ids():
        if cluster is None:
            return home.load(identifier), (), ""  # which says that there is none
        state, lines = handover.look(cluster, identifier)
        return state, lines, "cluster"
    state, lines = home.load(identifier), journal.read(home.journal(identifier)).lines
    if cluster is not None:
        try:
            theirs, more = handover.look(cluster, identifier)
        except IrkitError:  # what is here is the truth
            return state, lines, "here"
        if more[: len(lines)] == lines:
            return theirs, more, "gone on with elsewhere" if len(more) > len(lines) else "here and cluster"
    return state, lines, "here"


def _next(state: State) -> str:
    identifier = state.incident.id
    if state.closed:
        return "irkit incident list"
    if state.status == "lifting":
        return f"irkit lift {identifier}"
    return f"irkit resume {identifier}" if state.unfinished else f"irkit verify {identifier}"


def _closed(lines: tuple[Line, ...]) -> dict[str, Any] | None:
    """How, by whom and why it was closed or lifted the last time."""
    last = next((line for line in reversed(lines) if isinstance(line.body, Closed)), None)
    if last is None or not isinstance(last.body, Closed):
        return None
    return {"at": last.at, "how": last.body.how, "by": last.body.by, "reason": last.body.reason, "left": list(last.body.left)}


def _timeline(lines: tuple[Line, ...], state: State) -> list[dict[str, str]]:
    found = []
    for line in lines:
        text = _text(line, state)
        if text:
            found.append({"at": line.at, "text": text})
    return found


def _text(line: Line, state: State) -> str:
    match line.body:
        case Ran() as ran:
            return f"irkit {ran.command}: {ran.event}" + (f", exit code {ran.exit_code}" if ran.event == "end" else "")
        case Intent() as intent:
            return "" if intent.call in state.results else f"begun, outcome not known: {title(intent.change)}"
        case Result() as found:
            if (begun := state.intents.get(found.call)) is None:
                return f"an outcome of nothing that was begun: {word(found.outcome)}"
            why = reason(found.outcome)
            return f"{'lift: ' if begun.purpose == 'lift' else ''}{title(begun.change)}: {word(found.outcome)}" + (f" ({why})" if why else "")
        case StepEnded() as ended:
            return f"step {ended.step}: {word(ended.outcome)}"
        case Sealed() as sealed:
            return f"bag sealed: {sealed.bag.artefacts} artefacts"
        case Pushed() as pushed:
            kept = f", kept until {pushed.kept_until}" if pushed.kept_until else ""
            return f"bag {pushed.bag} is in {pushed.url}, verified{kept}"
    return said(line.body)


def said(body: Body) -> str:
    """What a human decided or reported; empty for everything else."""
    match body:
        case Approved() as approved:
            return f"approved by {approved.by}: {', '.join(approved.steps)}"
        case Refused() as refused:
            return f"declined by {refused.by}: {', '.join(refused.steps)}"
        case Waived() as waived:
            return f"{plural(len(waived.pods), 'pod')} may end without evidence, by {waived.by}: {waived.reason}"
        case Ordered() as ordered:
            decided = [f"; {'approved' if d.yes else 'declined'} by {d.by.label}" for d in ordered.decisions]
            return f"ordered by {ordered.order.origin.label}: {ordered.order.words}" + "".join(decided)
        case Watched() as watched:
            about = f" until {watched.until}" if watched.until else f": {printable(watched.summary, 400)}" if watched.check else ""
            return f"watch: {watched.event}{about}"
        case Told() as told:
            words = {"by": told.reported.by, "severity": told.reported.severity, "since": told.reported.started_at, "": told.reported.summary}
            return f"reported, by {told.by}: " + ", ".join(f"{name} {value}".strip() for name, value in words.items() if value)
        case Assigned() as assigned:
            return f"{assigned.role}: {assigned.name or 'nobody'}, by {assigned.by}"
        case Closed() as closed:
            why = f", by {closed.by}" if closed.by else ""
            return f"{closed.how}{why}" + (f": {closed.reason}" if closed.reason else "")
    return ""
