"""Closing an incident: only when nothing of it is half done, or with a reason on record.

What is left is told from the journal and the bags; whether what must hold does hold, the cluster is asked. Closing changes
nothing in the cluster and ends no pod.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from irkit.app.picking import pick
from irkit.app.runs import pool_of
from irkit.app.verify import judge
from irkit.engine import journal, loader, planner, result, rotated
from irkit.engine.home import Home
from irkit.engine.observe import Snapshot
from irkit.engine.questions import for_step
from irkit.engine.result import RunResult
from irkit.engine.session import Session
from irkit.engine.state import State
from irkit.errors import Declined, EndStateError, EvidenceError, IrkitError, RefusedError, UsageError, worst
from irkit.evidence import verify as bags
from irkit.model.changes import Create, Patch
from irkit.model.incident import Incident
from irkit.model.kube import PODS
from irkit.model.outcome import Declined as DeclinedOutcome
from irkit.model.outcome import Failed, Outcome, Skipped, reason
from irkit.model.record import Closed
from irkit.model.titles import title
from irkit.ports import EvidenceStore, Observed, Ports
from irkit.settings import Settings
from irkit.text import plural, printable


class Left(NamedTuple):
    """One thing that is half done, the command that finishes it, and the exit code that stands for it."""

    what: str
    next: str
    code: int = EndStateError.exit_code


def left(state: State, store: EvidenceStore) -> list[Left]:
    """What the journal says is half done. Empty for an incident that is closed, with a reason or without."""
    if state.closed.startswith("closed"):
        return []
    return [*_steps(state), *_credentials(state), *_in_force(state), *_unsealed(state, store)]


def _steps(state: State) -> Iterator[Left]:
    """Steps that did not end well, and those that wait for a parameter. What a lift has undone is not half done."""
    assert state.opened is not None
    incident = state.incident
    again = _going_on(state)
    if state.status == "lifting":
        yield Left("a lift has begun and not ended", f"irkit lift {incident.id}")
        return
    playbook = loader.loads(state.opened.playbook_source.encode(), f"{incident.playbook}.yaml", runbooks=None)
    specs = playbook.of(incident.phase)
    waiting = {spec.id: name for spec, name in planner.left_out(specs, incident)}
    bound = {step.id for step in planner.bind_steps(specs, playbook.target, incident)}
    for spec in specs:
        outcome = state.steps.get(spec.id)
        if state.closed and spec.phase == "containment":
            continue
        if name := waiting.get(spec.id):
            yield Left(f"step {spec.id} ({spec.phase}) waits for {name}",
                       f"irkit respond {incident.playbook} {incident.target.words} -p {name}=…")  # fmt: skip
        elif outcome is None and spec.id in bound:
            yield Left(f"step {spec.id} ({spec.phase}) was not run", again)
        elif isinstance(outcome, Failed | DeclinedOutcome | Skipped):
            yield Left(f"step {spec.id} ({spec.phase}): {_how(outcome)}", again)
    if state.status == "interrupted":
        yield Left("the last run was interrupted", again)


def _going_on(state: State) -> str:
    """The command that goes on with it. `resume` does nothing more to what was lifted: what is left then is put on record."""
    return _anyway(state.incident) if state.closed else f"irkit resume {state.incident.id}"


def _anyway(incident: Incident) -> str:
    return f"irkit incident close {incident.id} --anyway REASON"


def _how(outcome: Outcome) -> str:
    why = printable(reason(outcome), 400)
    return why if isinstance(outcome, DeclinedOutcome) else f"{'failed' if isinstance(outcome, Failed) else 'not done'}: {why}"


def _credentials(state: State) -> Iterator[Left]:
    for found in rotated.documents(state):
        name = printable("/".join([found["name"], ",".join(found["keys"])]).rstrip("/"), 200)
        if found["outcome"] in ("manual", "failed"):
            how = "waits for a human" if found["outcome"] == "manual" else "was not rotated"
            yield Left(f"credential {name} {how}: {printable(found['how'], 300)}", _going_on(state))
        elif found["oldValue"] == "alive":
            yield Left(f"credential {name}: the old value still works", _going_on(state))


def _in_force(state: State) -> Iterator[Left]:
    """Writes of irkit that are still there. Of the quarantine, `lift` is where a human says what becomes of it."""
    incident = state.incident
    writes = [i.change for i, _ in state.undone()]
    ours = [c for c in writes if isinstance(c, Create) or (isinstance(c, Patch) and c.ref.resource == PODS)]
    if ours and not state.closed:
        yield Left(f"{incident.target.pod} is still cut off, and nobody has said what becomes of it",
                   f"irkit lift {incident.id} --pod delete   (or: --pod return, --pod keep)")  # fmt: skip
    for change in writes:
        if change not in ours:
            yield Left(f"still in force: {' '.join(title(change).split())}", f"irkit lift {incident.id}")


def _unsealed(state: State, store: EvidenceStore) -> Iterator[Left]:
    if store.unfinished(state.next_bag):
        yield Left(f"bag {state.next_bag} is not sealed", f"irkit resume {state.incident.id}", EvidenceError.exit_code)


def damaged(state: State, settings: Settings) -> Iterator[Left]:
    """Bags that are not as they were sealed: every file of them is read."""
    identifier = state.incident.id
    directory = Home(settings.home).directory(identifier) / "bags"
    for number in range(1, len(state.bags) + 1):
        try:
            report = bags.verify(directory / str(number))
        except UsageError:
            yield Left(f"bag {number} is not there", f"irkit incident show {identifier}", EvidenceError.exit_code)
            continue
        if not report.valid:
            yield Left(f"bag {number} is not as it was sealed: {report.problems[0]}", f"irkit bundle verify {report.path}", EvidenceError.exit_code)


def _holding(ports: Ports, state: State, pool: ThreadPoolExecutor) -> Iterator[Left]:
    """What this incident can be held to, and does not hold, or is not known to."""
    seen = Observed(cluster=Snapshot(ports.cluster, pool), now=ports.clock.now(), settings=ports.settings)
    for check in judge(ports, state.incident, state, seen):
        if check.holds is not True:
            yield Left(f"{'does not hold' if check.holds is False else 'not known'}: {printable(check.summary, 400)}",
                       f"irkit verify {state.incident.id}")  # fmt: skip


def close(ports: Ports, identifier: str | None, *, anyway: str = "") -> RunResult:
    """Put on record that it is over. Raises EndStateError (5), or EvidenceError (6), where something is half done.

    ``anyway`` is why it is closed all the same; what is left goes on record with it.
    """
    with pool_of(ports) as pool:
        state = pick(ports, identifier, lambda s: not s.closed, lambda s: not s.closed.startswith("closed"))
        incident = state.incident
        if state.closed.startswith("closed"):
            return _document(state, ports)
        known = len(journal.read(Home(ports.settings.home).journal(incident.id)).lines)
        found = _all(ports, state, pool, anyway)
        if found and not anyway:
            raise _refusal(incident, found)
        if not ports.approver.confirm(_question(incident, found)):
            raise Declined(f"incident {incident.id} stays as it is", next=f"irkit incident show {incident.id}")
        with Session(ports, incident, pool, "close", ports.connection.whoami(), again="irkit incident close") as session:
            session.begin()
            assert session.journal is not None
            if len(session.journal.lines) != known + 1:
                raise RefusedError(f"incident {incident.id} was gone on with a moment ago", next=f"irkit incident close {incident.id}")
            executor = session.executor(for_step)
            executor.note(Closed(run=session.run, how="closed anyway" if found else "closed", by=session.who.name, reason=anyway,
                                 left=tuple(one.what for one in found)))  # fmt: skip
            session.end(0)
            return _document(session.state, ports)


def _all(ports: Ports, state: State, pool: ThreadPoolExecutor, anyway: str) -> list[Left]:
    found = [*left(state, ports.evidence(state.incident.id)), *damaged(state, ports.settings)]
    try:
        return [*found, *_holding(ports, state, pool)]
    except IrkitError as error:
        if not anyway:
            raise
        return [*found, Left(f"not verified: {error.message}", f"irkit verify {state.incident.id}")]


def _refusal(incident: Incident, found: list[Left]) -> IrkitError:
    lines = "\n".join(["", *(f"- {one.what}" for one in found)])
    message = f"incident {incident.id} is not closed: {plural(len(found), 'thing')} left{lines}"
    first, anyway = found[0].next, _anyway(incident)
    following = first if first == anyway else f"{first}\nor, with a reason that goes on record: {anyway}"
    kind = EvidenceError if worst(one.code for one in found) == EvidenceError.exit_code else EndStateError
    return kind(message, next=following)


def _question(incident: Incident, found: list[Left]) -> str:
    though = f" {plural(len(found), 'thing')} left: {'; '.join(one.what for one in found)}." if found else ""
    return f"{though} Close incident {incident.id} of {incident.target.pod}{' all the same' if found else ''}?".strip()


def _document(state: State, ports: Ports) -> RunResult:
    directory = Home(ports.settings.home).directory(state.incident.id)
    document = result.finished(state, "close", [], directory / "bags")
    document.checks, document.isolation, document.credentials = [], None, []
    document.exit_code, document.outcome = 0, "closed"
    document.next = f"irkit incident report {state.incident.id}"
    return document
