"""Looking at incidents: from their journals alone, without a cluster."""

from __future__ import annotations

from typing import Any

from irkit.engine import journal
from irkit.engine.home import Home
from irkit.engine.state import State
from irkit.errors import EvidenceError, UsageError
from irkit.model.changes import title
from irkit.model.outcome import reason, word
from irkit.model.record import Approved, Closed, Intent, Line, Ran, Refused, Result, Sealed, StepEnded
from irkit.settings import Settings


def summaries(settings: Settings) -> list[dict[str, Any]]:
    """One entry an incident, newest first; one whose journal can't be read says so as its status."""
    home, found = Home(settings.home), []
    for identifier in home.ids():
        try:
            state = home.load(identifier)
        except EvidenceError as error:
            found.append({"id": identifier, "status": f"unreadable: {error.message}", "kind": "", "pod": "", "namespace": "", "context": "",
                          "bags": 0})  # fmt: skip
            continue
        target = state.incident.target
        found.append({"id": identifier, "status": state.status, "kind": target.pod.kind, "pod": target.pod.name, "namespace": target.namespace,
                      "context": state.incident.cluster.context, "bags": len(state.bags)})  # fmt: skip
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
    target = incident.target
    return {
        "apiVersion": "irkit.dev/v1", "kind": "Incident", "id": identifier, "status": state.status, "opened": incident.opened,
        "operator": incident.operator.name, "playbook": f"{incident.playbook} {incident.phase}".strip(), "context": incident.cluster.context,
        "server": incident.cluster.server, "cluster": incident.cluster.uid, "target": str(target.pod),
        "workload": str(target.workload) if target.workload else "none", "timeline": _timeline(lines, state),
        "bags": [str(home.directory(identifier) / "bags" / str(n)) for n in range(1, len(state.bags) + 1)],
        "next": _next(state),
    }  # fmt: skip


def _next(state: State) -> str:
    identifier = state.incident.id
    if state.closed:
        return "irkit incident list"
    if state.status == "lifting":
        return f"irkit lift {identifier}"
    return f"irkit resume {identifier}" if state.unfinished else f"irkit verify {identifier}"


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
        case Approved() as approved:
            return f"approved by {approved.by}: {', '.join(approved.steps)}"
        case Refused() as refused:
            return f"declined by {refused.by}: {', '.join(refused.steps)}"
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
        case Closed() as closed:
            return f"closed: {closed.how}"
    return ""
