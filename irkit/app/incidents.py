"""Looking at incidents: from their journals alone, without a cluster."""

from __future__ import annotations

from typing import Any

from irkit import API_VERSION
from irkit.app import closing
from irkit.engine import journal
from irkit.engine.home import Home
from irkit.engine.state import State
from irkit.errors import EvidenceError, UsageError
from irkit.evidence.store import BagStore
from irkit.model.outcome import reason, word
from irkit.model.record import Approved, Body, Closed, Intent, Line, Ordered, Ran, Refused, Result, Sealed, StepEnded, Told, Waived, Watched
from irkit.model.titles import title
from irkit.settings import Settings
from irkit.text import plural, printable


def summaries(settings: Settings) -> list[dict[str, Any]]:
    """One entry an incident, newest first; one whose journal can't be read says so as its status."""
    home, found = Home(settings.home), []
    for identifier in home.ids():
        try:
            state = home.load(identifier)
        except EvidenceError as error:
            found.append({"id": identifier, "status": f"unreadable: {error.message}", "kind": "", "pod": "", "namespace": "", "context": "",
                          "bags": 0, "opened": "", "severity": "", "summary": ""})  # fmt: skip
            continue
        target = state.incident.target
        found.append({"id": identifier, "status": state.status, "kind": target.pod.kind, "pod": target.pod.name, "namespace": target.namespace,
                      "context": state.incident.cluster.context, "bags": len(state.bags),
                      "opened": state.incident.opened, "severity": state.severity, "summary": state.reported.summary})  # fmt: skip
    return found


def show(settings: Settings, identifier: str | None) -> dict[str, Any]:
    """Everything a person wants to know of one incident. Raises UsageError, EvidenceError."""
    home = Home(settings.home)
    if identifier is None:
        identifier = next(iter(home.ids()), None)
    if identifier is None:
        raise UsageError("there are no incidents on this machine", next="irkit contain POD -n NAMESPACE")
    state = home.load(identifier)
    incident = state.incident
    lines = journal.read(home.journal(identifier)).lines
    target, said = incident.target, state.reported
    left = closing.left(state, BagStore(home.directory(identifier) / "bags"))
    return {
        "apiVersion": API_VERSION, "kind": "Incident", "id": identifier, "status": state.status, "opened": incident.opened,
        "severity": state.severity, "reportedBy": said.by, "summary": said.summary, "startedAt": said.started_at,
        "operator": incident.operator.name, "playbook": f"{incident.playbook} {incident.phase}".strip(), "context": incident.cluster.context,
        "server": incident.cluster.server, "cluster": incident.cluster.uid, "target": str(target.pod),
        "workload": str(target.workload) if target.workload else "none", "timeline": _timeline(lines, state),
        "bags": [str(home.directory(identifier) / "bags" / str(n)) for n in range(1, len(state.bags) + 1)],
        "left": [one.what for one in left], "closed": _closed(lines), "next": left[0].next if left else _next(state),
    }  # fmt: skip


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
        case Closed() as closed:
            why = f", by {closed.by}" if closed.by else ""
            return f"{closed.how}{why}" + (f": {closed.reason}" if closed.reason else "")
    return ""
