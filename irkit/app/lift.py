"""Lifting: undo what irkit did, in the order that keeps the pod alive, and only what was recorded.

The workload comes back first and is awaited. What becomes of the quarantined pod is a choice of its own: it stays as it
is (`keep`); it gets its labels back while the policy still stands, then the policy goes (`return`); or it is deleted
once its evidence is sealed (`delete`). A field that somebody else has changed since is shown and left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import msgspec

from irkit import workloads
from irkit.app import lift_pods
from irkit.app.picking import pick
from irkit.app.runs import pool_of
from irkit.engine import preflight, result
from irkit.engine.apply import MovedError
from irkit.engine.events import LiftPlanned, Said
from irkit.engine.executor import Executor
from irkit.engine.observe import Snapshot
from irkit.engine.planner import uncollected, unsafe
from irkit.engine.questions import for_lift, for_step
from irkit.engine.result import RunResult
from irkit.engine.session import Session
from irkit.engine.state import State
from irkit.errors import Declined, IrkitError, NotFoundError, UsageError
from irkit.model.changes import ABSENT, Await, Capture, Change, Create, Delete, Edit, Patch, field_value, present
from irkit.model.evidence import OF_LIFT
from irkit.model.incident import Incident
from irkit.model.kube import NETWORKPOLICIES, PODS, ObjectRef, annotations_of, at, labels_of, ref_of, selects
from irkit.model.outcome import Done, Failed, Outcome
from irkit.model.plan import Plan, PlannedStep
from irkit.model.record import Closed
from irkit.network import deny, verdict
from irkit.ports import ClusterReader, Observed, Ports, exists
from irkit.text import printable

Choice = Literal["keep", "return", "delete"]
# The controller's own word on which surplus pod to delete first (KEP-2255): without it, of pods of about one age it is chance.
_COST = ("metadata", "annotations", "controller.kubernetes.io/pod-deletion-cost")
_DEAR = present("2147483647")


def lift(ports: Ports, identifier: str | None, choice: Choice, *, dry_run: bool = False) -> RunResult:
    """Undo a containment, interrupted ones too. Raises UsageError where there is nothing to lift."""
    with pool_of(ports) as pool:
        state = pick(ports, identifier, lambda s: bool(s.undone()) and not (s.closed and choice == "keep"), lambda s: bool(s.undone()))
        incident = state.incident
        if not state.undone() and not state.over:
            raise UsageError(f"incident {incident.id} has changed nothing that could be lifted", next=f"irkit incident show {incident.id}")
        if dry_run:
            seen = Observed(cluster=Snapshot(ports.cluster, pool), now=ports.clock.now(), settings=ports.settings, captured=state.captured)
            step, conflicts = _planned(state, incident, seen, choice)
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
    step, conflicts = _planned(state, incident, seen, choice)
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
    left = bool(_planned(session.state, incident, executor.look(), choice)[0].writes)
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
    rest, found = _planned(executor.state, executor.incident, executor.look(), choice)
    new = [c for c in found if c not in conflicts]
    _say(executor.ports, new)
    conflicts += new
    if executor.approvals.new([rest]):
        raise MovedError(f"what is left of step {step.id} is other than what was asked about")
    return rest


def _planned(state: State, incident: Incident, seen: Observed, choice: Choice) -> tuple[PlannedStep, list[str]]:
    conflicts: list[str] = []
    changes = tuple(_changes(state, incident, seen, choice, conflicts))
    step = PlannedStep("lift", "lift", "recovery", changes, "ask")
    captured = state.captured | {c.pod.uid for c in changes if isinstance(c, Capture)}
    if lost := uncollected(step, captured):
        raise unsafe("lift", lost)
    return step, conflicts


def _changes(state: State, incident: Incident, seen: Observed, choice: Choice, conflicts: list[str]) -> Iterator[Change]:
    undone = state.undone()
    pod = incident.target.pod
    patches = [i.change for i, _ in reversed(undone) if isinstance(i.change, Patch)]
    creates = [(i.change, r) for i, r in reversed(undone) if isinstance(i.change, Create)]
    cut = [p for p in patches if (p.ref.same(pod) if incident.target.is_pod else p.action == "relabel")]
    for patch in (p for p in patches if p not in cut):
        yield from _restored(patch, seen.cluster, conflicts)
        if _runs(patch) and exists(seen.cluster, patch.ref) is not None:
            yield Await(condition="ready", ref=patch.ref)
    if choice == "keep":
        return
    if not incident.target.is_pod:
        yield from _many(cut, creates, state, seen, choice, conflicts)
        return
    alive = not incident.target.gone and exists(seen.cluster, pod) is not None
    if choice == "return" and not alive and not incident.target.gone:
        conflicts.append(f"{pod} is gone")
    if choice == "return" and alive and (why := _superseded(incident, seen.cluster)):
        conflicts.append(f"{pod} stays cut off, its policy too: {why}")
        return
    if choice == "return" and alive and (theirs := _opening(patches, incident, seen.cluster)):
        why = f"label {', '.join(theirs)} is somebody else's now, and with it the pod would be more open than before"
        conflicts.append(f"{pod} stays cut off, its policy too: {why}")
        return
    if choice == "return" and alive:
        yield from _returned(cut, state, incident, seen, conflicts)
    if choice == "delete" and alive:
        if pod.uid not in state.captured:
            yield Capture(pod=pod, take=OF_LIFT, suspect=True)
        yield Delete(ref=pod, why="its evidence is sealed", pods=(pod,))
        yield Await(condition="gone", ref=pod)  # it may take its grace period to end, and the policy holds until then
    for create, outcome in creates:
        yield from _removed(create, outcome, seen.cluster)


def _many(
    cut: list[Patch], creates: list[tuple[Create, Outcome | None]], state: State, seen: Observed, choice: Choice, conflicts: list[str]
) -> Iterator[Change]:
    """The pods of an incident that is not about one."""
    staying: set[str] = set()
    if choice == "return":
        yield from lift_pods.returned(cut, seen, lambda p: _restored(p, seen.cluster, conflicts), conflicts, staying)
    else:
        yield from lift_pods.deleted(cut, seen, state.captured, OF_LIFT)
    for create, outcome in creates:
        if create.ref.namespace not in staying:
            yield from _removed(create, outcome, seen.cluster)


def _restored(patch: Patch, cluster: ClusterReader, conflicts: list[str]) -> Iterator[Patch]:
    """The inverse of a patch, without the fields that others have changed since, and nothing where it is undone already."""
    current = exists(cluster, patch.ref)
    if current is None:
        conflicts.append(f"{patch.ref} is gone")
        return
    inverse = patch.inverse
    theirs = inverse.conflicts(current)
    conflicts += [f"{patch.ref} {'.'.join(e.path)} is {printable(at(current, e.path))} now: changed since by somebody else" for e in theirs]
    ours = tuple(e for e in inverse.edits if e not in theirs)
    inverse = msgspec.structs.replace(inverse, edits=ours)
    if ours and not inverse.holds(current):
        yield inverse


def _runs(patch: Patch) -> bool:
    """Whether the workload had pods before it was stopped: only then is there something to wait for.

    A Job that its controller still sees suspended deletes the pod at once whose labels come back, so that is waited for, too.
    """
    if workloads.kind_of(patch.ref.resource) is None:
        return False  # what was paused beside it
    return patch.action == "suspend" or (patch.action in ("scale", "patch") and not any(e.before == present(0) for e in patch.edits))


def _returned(patches: list[Patch], state: State, incident: Incident, seen: Observed, conflicts: list[str]) -> Iterator[Change]:
    """Labels back: the controller adopts the pod again and deletes a surplus one, so all are collected first."""
    pod = incident.target.pod
    inverses = [c for p in patches for c in _restored(p, seen.cluster, conflicts)]
    dear = _dear(incident, seen) if inverses else ()
    siblings = _siblings(incident, seen.cluster) if inverses else []
    for sibling in siblings:
        if sibling.uid not in seen.captured:
            yield Capture(pod=sibling, take=OF_LIFT)
    for inverse in inverses:
        yield msgspec.structs.replace(inverse, edits=(*inverse.edits, *dear), pods=tuple(siblings))
    if dear or _left_dear(state, incident, seen):
        yield Await(condition="adopted", ref=pod, owner=incident.target.workload)
        yield Patch(ref=pod, edits=(Edit(_COST, _DEAR, ABSENT),), why="its ReplicaSet has chosen")


def _opening(patches: list[Patch], incident: Incident, cluster: ClusterReader) -> list[str]:
    """Labels that others have set since, and with which the returned pod could do more than before it was cut off (law 11)."""
    pod = exists(cluster, incident.target.pod) or {}
    edits = [e for p in patches if p.ref.same(incident.target.pod) for e in p.inverse.conflicts(pod)]
    theirs = {e.path[-1]: labels_of(pod)[e.path[-1]] for e in edits if e.path[:2] == ("metadata", "labels") and e.path[-1] in labels_of(pod)}
    before = incident.target.labels
    policies = [p for p in cluster.list(NETWORKPOLICIES, incident.target.namespace) if p["metadata"]["name"] != deny.policy_name(incident)]
    return [printable(key) for key in theirs] if theirs and verdict.more_open(pod, before, {**before, **theirs}, policies) else []


def _superseded(incident: Incident, cluster: ClusterReader) -> str:
    """Why the pod must not get its labels back: its ReplicaSet is of an earlier rollout, has no replicas, and would delete it."""
    owners = incident.target.owners
    if [o.kind for o in owners[:2]] != ["ReplicaSet", "Deployment"]:
        return ""
    found = [exists(cluster, owner) for owner in owners[:2]]
    revisions = [annotations_of(o).get("deployment.kubernetes.io/revision") if o else None for o in found]
    if found[0] is not None and revisions[0] == revisions[1]:
        return ""
    return f"{owners[1]} was rolled out since, and the pod's {owners[0]} would delete it"


def _dear(incident: Incident, seen: Observed) -> tuple[Edit, ...]:
    """So that it is not the returning pod that its ReplicaSet finds to be one too many; never over what a team has set."""
    pod = exists(seen.cluster, incident.target.pod)
    free = pod is not None and field_value(pod, _COST) == ABSENT
    return (Edit(_COST, ABSENT, _DEAR),) if free and _of_replicas(incident) else ()


def _left_dear(state: State, incident: Incident, seen: Observed) -> bool:
    """Whether a lift that was interrupted left that word on the pod."""
    pod = exists(seen.cluster, incident.target.pod)
    ours = any(e.path == _COST for i in state.intents.values() if i.purpose == "lift" and isinstance(i.change, Patch) for e in i.change.edits)
    return pod is not None and ours and field_value(pod, _COST) == _DEAR


def _of_replicas(incident: Incident) -> bool:
    """Whether a ReplicaSet will own the pod again; not so by the labels that it had from an earlier incident."""
    target = incident.target
    by_replicaset = target.workload is not None and bool(target.owners) and target.owners[0].kind == "ReplicaSet"
    return by_replicaset and target.selector is not None and selects(target.selector, target.labels)


def _siblings(incident: Incident, cluster: ClusterReader) -> list[ObjectRef]:
    workload = incident.target.workload
    if workload is None or workload.resource == PODS:
        return []
    try:
        return [ref_of(p, PODS) for p in workloads.observe(workload, cluster).pods]
    except NotFoundError:
        return []


def _removed(create: Create, outcome: Outcome | None, cluster: ClusterReader) -> Iterator[Delete]:
    found = exists(cluster, create.ref)
    if found is not None:
        uid = outcome.data.get("uid") if isinstance(outcome, Done) else None
        yield create.inverse(str(uid or found["metadata"]["uid"]))
