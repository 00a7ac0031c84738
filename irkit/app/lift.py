"""Lifting: undo what irkit did, in the order that keeps the pod alive, and only what was recorded.

The workload comes back first and is awaited. What becomes of the quarantined pod is a choice of its own: it stays as it
is (`keep`); it gets its labels back while the policy still stands, then the policy goes (`return`); or it is deleted
once its evidence is sealed (`delete`). A field that somebody else has changed since is shown and left alone.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import msgspec

from irkit.app.lift_plan import Choice, planned
from irkit.app.picking import pick
from irkit.app.runs import pool_of, push
from irkit.engine import preflight, result
from irkit.engine.apply import MovedError
from irkit.engine.events import LiftPlanned, Said
from irkit.engine.executor import Executor
from irkit.engine.observe import Snapshot
from irkit.engine.questions import for_lift, for_step
from irkit.engine.result import RunResult
from irkit.engine.session import Session
from irkit.engine.state import State
from irkit.errors import Declined, IrkitError, UsageError
from irkit.model.changes import Await
from irkit.model.incident import Incident
from irkit.model.outcome import Failed
from irkit.model.plan import Plan, PlannedStep
from irkit.model.record import Closed
from irkit.ports import Observed, Ports


def lift(ports: Ports, identifier: str | None, choice: Choice, *, dry_run: bool = False) -> RunResult:
    """Undo a containment, interrupted ones too. Raises UsageError where there is nothing to lift."""
    with pool_of(ports) as pool:
        state = pick(ports, identifier, lambda s: bool(s.undone()) and not (s.closed and choice == "keep"), lambda s: bool(s.undone()))
        incident = state.incident
        if not state.undone() and not state.over:
            raise UsageError(f"incident {incident.id} has changed nothing that could be lifted", next=f"irkit incident show {incident.id}")
        if dry_run:
            seen = Observed(cluster=Snapshot(ports.cluster, pool), now=ports.clock.now(), settings=ports.settings, captured=state.captured)
            step, conflicts = planned(state, incident, seen, choice)
            ports.listen(LiftPlanned(incident, Plan((step,))))
            _say(ports, conflicts)
            _try(ports, Plan((step,)), incident, seen, pool)
            return result.planned(incident, Plan((step,)), "lift", ports.argv)
        with Session(ports, incident, pool, "lift", ports.connection.whoami(), again=f"irkit lift --pod {choice}") as session:
            session.begin()
            executor = session.executor(for_step)
            return _lift(ports, session, executor, choice)


def _try(ports: Ports, plan: Plan, incident: Incident, seen: Observed, pool: ThreadPoolExecutor) -> None:
    """What a dry run says: each change, once the server was asked whether it would take it. Raises ForbiddenError."""
    checked = preflight.run(plan, incident, ports.cluster, seen.cluster, pool, evidence=True)
    if checked.missing:
        raise preflight.forbidden(checked.missing, incident.operator.name, incident.playbook, incident.target.namespace, incident.phase)
    for change, error in checked.denied:
        raise preflight.denial(change, error)


def _lift(ports: Ports, session: Session, executor: Executor, choice: Choice) -> RunResult:
    state, incident = session.state, session.incident
    seen = executor.look()
    step, conflicts = planned(state, incident, seen, choice)
    ports.listen(LiftPlanned(incident, Plan((step,))))
    _say(ports, conflicts)
    missing = [p for c in step.changes for p in c.permissions if p.verb not in ("get", "list") and not seen.cluster.can(p)]
    if missing:
        raise preflight.forbidden(missing, session.who.name, incident.playbook, incident.target.namespace, incident.phase)
    if step.writes and not ports.approver.confirm(for_lift(incident, step), step.writes):
        raise Declined("nothing was changed", next=f"irkit lift {incident.id} --pod {choice}")
    executor.approvals.record([step], yes=True)
    failure = _run(executor, step, choice, conflicts)
    executor.collection.seal()
    push(ports, session)
    left = bool(planned(session.state, incident, executor.look(), choice)[0].writes)
    document = result.finished(session.state, "lift", [], session.home.directory(incident.id) / "bags")
    document.checks, document.isolation = [], None
    document.steps = [_document(session.state, session.run, choice, conflicts)]
    document.exit_code = failure.exit_code if failure else (5 if left or conflicts else 0)
    document.outcome = "incomplete" if document.exit_code else "lifted"
    document.next = _next(incident, choice, failure, conflicts)
    if document.exit_code == 0:
        executor.note(Closed(run=session.run, how="lifted, the pod kept cut off" if choice == "keep" else "lifted"))
    session.end(document.exit_code)
    return document


def _next(incident: Incident, choice: Choice, failure: Failed | None, conflicts: list[str]) -> str:
    if failure:
        return failure.next
    if conflicts:
        return f"irkit incident show {incident.id}"
    return f"irkit lift {incident.id} --pod delete   (or: --pod return)" if choice == "keep" else f"irkit incident show {incident.id}"


_ENDS = {"keep": "what was stopped runs again; the quarantine stays", "return": "the pod is back in service",
         "delete": "the pod is deleted, its evidence sealed"}  # fmt: skip


def _document(state: State, run: str, choice: Choice, conflicts: list[str]) -> result.StepResult:
    done = [(i, state.results.get(c)) for c, i in state.intents.items() if i.purpose == "lift" and i.run == run]
    changes = [result.change_doc(i.change, r) for i, r in done]
    failed = next((r for _, r in done if isinstance(r, Failed)), None)
    wrong = ([failed.error] if failed else []) + [f"not restored: {c}" for c in conflicts]
    return result.StepResult(
        id="lift", step="lift", phase="recovery", outcome="failed" if wrong else "done", why="; ".join(wrong) or _ENDS[choice], changes=changes
    )


def _say(ports: Ports, conflicts: list[str]) -> None:
    for conflict in conflicts:
        ports.listen(Said(f"not restored: {conflict}", "warning"))


def _run(executor: Executor, step: PlannedStep, choice: Choice, conflicts: list[str]) -> Failed | None:
    """Do the changes in order. A pod that would end without evidence is collected first (law 4)."""
    again = f"irkit lift {executor.incident.id} --pod {choice}"
    back = max((n for n, c in enumerate(step.changes) if isinstance(c, Await) and c.condition == "ready"), default=-1) + 1
    try:
        executor.lifting(msgspec.structs.replace(step, changes=step.changes[:back]))
        rest = msgspec.structs.replace(step, changes=step.changes[back:])
        executor.lifting(_again(executor, rest, choice, conflicts) if back and rest.changes else rest)
    except MovedError as error:
        return Failed(error.message, 5, again)
    except IrkitError as error:
        return Failed(error.message, error.exit_code, again if error.next in ("", "irkit resume") else error.next)
    return None


def _again(executor: Executor, step: PlannedStep, choice: Choice, conflicts: list[str]) -> PlannedStep:
    """The rest of a lift, planned once the workload is back: only then are there the pods that the labels' return may end."""
    rest, found = planned(executor.state, executor.incident, executor.look(), choice)
    new = [c for c in found if c not in conflicts]
    _say(executor.ports, new)
    conflicts += new
    if executor.approvals.new([rest]):
        raise MovedError(f"what is left of step {step.id} is other than what was asked about")
    return rest
