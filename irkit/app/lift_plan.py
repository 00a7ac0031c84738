"""What a lift changes, and in which order: from what is on record, and from what the cluster is like now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from irkit import workloads
from irkit.app import lift_pods
from irkit.engine.planner import uncollected, unsafe
from irkit.engine.state import State
from irkit.errors import NotFoundError
from irkit.model.changes import Await, Capture, Change, Create, Delete, Patch
from irkit.model.edits import ABSENT, Edit, field_value, present
from irkit.model.evidence import OF_LIFT
from irkit.model.incident import Incident
from irkit.model.kube import NETWORKPOLICIES, PODS, ObjectRef, annotations_of, at, labels_of, ref_of, selects
from irkit.model.outcome import Done, Outcome
from irkit.model.plan import PlannedStep
from irkit.network import deny, verdict
from irkit.ports import ClusterReader, Observed, exists
from irkit.text import printable

Choice = Literal["keep", "return", "delete"]
# The controller's own word on which surplus pod to delete first (KEP-2255): without it, of pods of about one age it is chance.
_COST = ("metadata", "annotations", "controller.kubernetes.io/pod-deletion-cost")
_DEAR = present("2147483647")


def planned(state: State, incident: Incident, seen: Observed, choice: Choice) -> tuple[PlannedStep, list[str]]:
    """The one step that a lift is, and what stays as it is since others changed it. Raises RefusedError where a pod would end without evidence."""
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
