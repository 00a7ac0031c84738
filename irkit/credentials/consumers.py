"""Who uses a Secret: every workload and pod of its namespace, found by their specs, not by what some annotation says.

A workload counts as restarted only where every pod of it that runs started after the change: such pods carry the mark
that the restart put into the pod template, and are none of those that were there before it (whoever may write to a pod may
write the mark, too). A workload without pods has nothing to restart, and starts with the new value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from irkit.credentials.moved import repointed
from irkit.credentials.reach import account_of, uses
from irkit.model.changes import Change, Patch
from irkit.model.credential import RESTART_ANNOTATION
from irkit.model.edits import Edit, Present, field_value, present
from irkit.model.incident import INCIDENT_LABEL, QUARANTINE_LABEL, Incident
from irkit.model.kube import (
    CRONJOBS,
    DAEMONSETS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    REPLICASETS,
    SERVICEACCOUNTS,
    STATEFULSETS,
    Obj,
    ObjectRef,
    Resource,
    Value,
    annotations_of,
    at,
    controller_of,
    is_ready,
    labels_of,
    ref_of,
)
from irkit.ports import Kept

TEMPLATES: Mapping[Resource, tuple[str, ...]] = {
    DEPLOYMENTS: ("spec", "template"), STATEFULSETS: ("spec", "template"), DAEMONSETS: ("spec", "template"),
    REPLICASETS: ("spec", "template"), JOBS: ("spec", "template"), CRONJOBS: ("spec", "jobTemplate", "spec", "template"),
}  # fmt: skip
RESTARTABLE = (DEPLOYMENTS, STATEFULSETS, DAEMONSETS)
_PATH = ("spec", "template", "metadata", "annotations", RESTART_ANNOTATION)


class Consumer(Value, frozen=True):
    """One that uses a credential. ``pods`` are its pods that run. ``why``: why it can't be restarted; empty: it can."""

    ref: ObjectRef
    pods: tuple[ObjectRef, ...] = ()
    restarted: bool = False  # all of its pods started after the change
    why: str = ""


class Count(msgspec.Struct, frozen=True):
    """``total`` counts those that run; ``left``: those whose pods hold the old value still, with the reason where there is one."""

    total: int
    restarted: int
    left: tuple[str, ...]


class Lister(Protocol):
    """What can list: a cluster, or a look at one."""

    def list(self, resource: Resource, namespace: str) -> Sequence[Obj]: ...


class Consumers:
    """All that use Secrets or ServiceAccounts in one namespace: eight lists, made once.

    ``moved``: Secrets whose consumers belong to another one (moved.py); they count for the first, on both sides of the move.
    ``kept``: whom incidents keep as evidence. Only such a pod is believed to be under quarantine, whatever labels it gives itself.
    """

    def __init__(self, namespace: str, cluster: Lister, moved: Mapping[str, str] | None = None, kept: Kept = lambda pods: {}) -> None:
        self.namespace, self._moved = namespace, moved or {}
        self._objects = {ref_of(o, r).uid: (ref_of(o, r), o) for r in TEMPLATES for o in cluster.list(r, namespace)}
        self._pods = [p for p in cluster.list(PODS, namespace)
                      if at(p, ("status", "phase")) not in ("Succeeded", "Failed") and not at(p, ("metadata", "deletionTimestamp"))]  # fmt: skip
        self._tops = [ref for ref, obj in self._objects.values() if not self._owned(obj)]
        self._accounts = accounts = {at(a, ("metadata", "name")): a for a in cluster.list(SERVICEACCOUNTS, namespace)}
        self._by_name: dict[tuple[str, str], dict[str, ObjectRef]] = {}
        self._running: dict[str, list[Obj]] = {}
        self._keepers, self._apart, self._tied = kept(self._pods), dict[tuple[str, str], list[ObjectRef]](), dict[str, list[Obj]]()
        for ref in self._tops:
            self._note(ref, {"metadata": {}, **at(self._objects[ref.uid][1], TEMPLATES[ref.resource], {})}, accounts)
        for pod in self._pods:
            ref, top = ref_of(pod, PODS), self._top(pod)
            if _cut_off(pod) and ref.uid in self._keepers:
                self._tied.setdefault(top.uid, []).append(pod)  # where its controller does not let go of it
                for use in used_by(pod, accounts):
                    self._apart.setdefault(use, []).append(ref)
            else:
                self._running.setdefault(top.uid, []).append(pod)
                self._note(top, pod, accounts)

    def of(self, credential: ObjectRef, tokens: Mapping[str, str] | None = None, old: Collection[str] = ()) -> tuple[Consumer, ...]:
        """Everybody who uses this Secret or ServiceAccount; ``tokens``: by uid, the mark of pods that started after the change;
        ``old``: uids of pods that were there before it, whatever mark they carry."""
        return self.named(credential.kind, credential.name, tokens, old)

    def named(self, kind: str, name: str, tokens: Mapping[str, str] | None = None, old: Collection[str] = ()) -> tuple[Consumer, ...]:
        """As `of`, by kind and name."""
        users = self._by_name.get((kind, name), {})
        if kind == "Secret" and name in self._moved:
            users = {**users, **self._by_name.get((kind, self._moved[name]), {})}
        return tuple(self._consumer(ref, (tokens or {}).get(ref.uid, ""), old) for ref in sorted(users.values(), key=lambda r: (r.kind, r.name)))

    def apart(self, credential: ObjectRef) -> Mapping[ObjectRef, str]:
        """The pods under quarantine that were given it, each with the incident that keeps it: nobody restarts them."""
        return {ref: self._keepers[ref.uid] for ref in self._apart.get((credential.kind, credential.name), ())}

    def keepers(self, pods: Iterable[ObjectRef]) -> Mapping[ObjectRef, str]:
        """Those of these pods that an incident keeps, with its id."""
        return {ref: self._keepers[ref.uid] for ref in pods if ref.uid in self._keepers}

    def owning(self, pod: Obj) -> ObjectRef:
        """Whom a pod's use counts for: its workload, or itself."""
        return self._top(pod)

    def restart(self, ref: ObjectRef, token: str) -> Patch | None:
        """The change that starts all its pods anew, with the references of what moved; None where there is nothing to change.

        What has no pods, and a CronJob, is only given the new references.
        """
        obj = self._objects[ref.uid][1]
        moves = self._moves(obj, TEMPLATES[ref.resource])
        pods = self._running.get(ref.uid, []) if ref.resource in RESTARTABLE else []
        if not pods and moves:
            return Patch(ref=ref, edits=moves, why="its immutable Secret has a successor", forward=True)
        marks = _marks(at(obj, _PATH))
        if not pods or (token in marks and not moves):
            return None
        # another step of this incident may have restarted it for other credentials: its mark stays, or the two would take turns
        ours = [m for m in marks if m.partition("-")[0] == token.partition("-")[0] and m != token]
        edit = Edit(path=_PATH, before=field_value(obj, _PATH), after=present(",".join([*ours, token])))
        ending = tuple(
            ref_of(p, PODS) for p in (*pods, *self._tied.get(ref.uid, ()))
        )  # also those that claim to have started with what the template does not say yet
        return Patch(ref=ref, edits=(edit, *moves), action="restart", why="its credentials were changed", pods=ending, forward=True)

    def accounts(self) -> Iterator[Patch]:
        """The changes of ServiceAccounts whose pull secrets moved: their pods are given those at their start."""
        for account in self._accounts.values():
            if moves := self._moves({"spec": account}, ()):
                edits = tuple(Edit(path=e.path[1:], before=e.before, after=e.after) for e in moves)
                yield Patch(ref=ref_of(account, SERVICEACCOUNTS), edits=edits, why="its immutable pull secret has a successor", forward=True)

    def _moves(self, obj: Obj, template: Sequence[str]) -> tuple[Edit, ...]:
        """The parts of a pod template that name a Secret which moved, by the other name."""
        if not self._moved:
            return ()
        spec = at(obj, (*template, "spec"), {})
        parts = ("containers", "initContainers", "volumes", "imagePullSecrets")
        new = {part: repointed(spec[part], self._moved, part) for part in parts if spec.get(part)}
        return tuple(Edit(path=(*template, "spec", part), before=present(spec[part]), after=present(value)) for part, value in new.items()
                     if value != spec[part])  # fmt: skip

    def settling(self, ref: ObjectRef, token: str) -> bool:
        """Whether it was told to start its pods anew, and has not done so wholly yet."""
        if token not in _marks(at(self._objects[ref.uid][1], _PATH)):
            return False
        return any(token not in _marks(annotations_of(p).get(RESTART_ANNOTATION)) or not is_ready(p) for p in self._running.get(ref.uid, ()))

    def _note(self, ref: ObjectRef, spec: Obj, accounts: Mapping[str, Obj]) -> None:
        for kind, name in used_by(spec, accounts):
            self._by_name.setdefault((kind, name), {})[ref.uid] = ref

    def _consumer(self, ref: ObjectRef, token: str, old: Collection[str]) -> Consumer:
        pods = self._running.get(ref.uid, [])
        marked = all(token in _marks(annotations_of(p).get(RESTART_ANNOTATION)) for p in pods)
        started = bool(token) and not _why(ref) and marked and not any(at(p, ("metadata", "uid")) in old for p in pods)
        return Consumer(ref=ref, pods=tuple(ref_of(p, PODS) for p in pods), restarted=started, why=_why(ref))

    def _owned(self, obj: Obj) -> bool:
        return (controller_of(obj) or {}).get("uid") in self._objects

    def _top(self, obj: Obj) -> ObjectRef:
        """The last owner that is known here; a pod whose owner is of another kind stands for itself."""
        top = ref_of(obj, PODS)
        for _ in range(8):
            owner = self._objects.get((controller_of(obj) or {}).get("uid", ""))
            if owner is None:
                break
            top, obj = owner
        return top


def template(ref: ObjectRef, workload: Obj) -> Obj:
    """The pod that a workload would start, without a uid: what there is to go by where none of its pods is left."""
    found = at(workload, TEMPLATES.get(ref.resource, ("spec", "template")), {})
    owner = {"kind": ref.kind, "name": ref.name, "uid": at(workload, ("metadata", "uid"), ""), "controller": True}
    meta = {**(found.get("metadata") or {}), "name": ref.name, "namespace": ref.namespace, "ownerReferences": [owner]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": found.get("spec") or {}}


def used_by(spec: Obj, accounts: Mapping[str, Obj]) -> Iterator[tuple[str, str]]:
    """Kind and name of everything secret that a pod or a pod template is given, and of its ServiceAccount, token or not."""
    yield from dict.fromkeys((use.kind, use.name) for use in uses(spec, accounts))
    yield "ServiceAccount", account_of(spec)


def _marks(value: object) -> list[str]:
    """The restarts that an annotation tells of, oldest first."""
    return str(value or "").split(",")


def _cut_off(pod: Obj) -> bool:
    """A pod under quarantine stays as it is: it is evidence, and nothing that serves."""
    return labels_of(pod).get(QUARANTINE_LABEL) == "true" and INCIDENT_LABEL in labels_of(pod)


def _why(ref: ObjectRef) -> str:
    if ref.resource in RESTARTABLE:
        return ""
    reasons = {"Pod": "a bare pod, which nothing would start again", "Job": "a Job: its pods run to their end",
               "ReplicaSet": "a ReplicaSet of its own",
               "CronJob": "a CronJob: what runs now runs to its end; the next run gets the new value"}  # fmt: skip
    return reasons.get(ref.kind, f"irkit can't restart a {ref.kind}")


def cut_off(begun: Iterable[Change]) -> frozenset[str]:
    """Uids of the pods that these changes put under quarantine."""
    return frozenset(c.ref.uid for c in begun if isinstance(c, Patch) and c.action == "relabel")


def with_own(incident: Incident, begun: Iterable[Change], others: Kept) -> Kept:
    """Whom this incident keeps, by what it began, and whom others do."""
    own = dict.fromkeys(cut_off(begun), incident.id)
    return lambda pods: {**{uid: keeper for uid, keeper in others(pods).items() if keeper != incident.id}, **own}


def ended_by(begun: Iterable[Change], tokens: Collection[str]) -> frozenset[str]:
    """Uids of the pods that were there before the restarts with one of these marks."""
    restarts = (c for c in begun if isinstance(c, Patch) and c.action == "restart")
    return frozenset(p.uid for c in restarts if any(e.path == _PATH and _given(e) & set(tokens) for e in c.edits) for p in c.pods)


def _given(edit: Edit) -> set[str]:
    return set(_marks(edit.after.value)) if isinstance(edit.after, Present) else set()


def count(ref: ObjectRef, tokens: Mapping[str, str], consumers: Consumers, old: Collection[str] = ()) -> Count:
    """How many of those that use a credential run with the new value; ``old``: pods that were there before."""
    running = [c for c in consumers.of(ref, tokens, old) if c.pods]
    left: Sequence[str] = [f"{c.ref}" + (f": {c.why}" if c.why else "") for c in running if not c.restarted]
    return Count(len(running), sum(c.restarted for c in running), tuple(left))
