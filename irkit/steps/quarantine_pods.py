"""Cut many pods off at once, in whatever namespaces they are: those of a compromised node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from irkit import workloads
from irkit.model.arguments import Pods
from irkit.model.changes import Await, Change, Check, Create, Patch
from irkit.model.incident import Incident
from irkit.model.kube import DAEMONSETS, PODS, Obj, ObjectRef, Resource, annotations_of, at, controller_of, labels_of, ref_of
from irkit.model.plan import Confirm
from irkit.network import deny
from irkit.network.verdict import MIRROR
from irkit.ports import Observed
from irkit.steps import quarantine_budget
from irkit.steps.quarantine import in_force, label_edits
from irkit.text import plural, printable


@dataclass(frozen=True, slots=True)
class QuarantinePods:
    """End state: each of ``pods`` that can be is cut off as by `quarantine`; a policy of the incident is in each of their namespaces.

    Left alone, and named: pods of the host network and static pods, which no policy holds; pods of a DaemonSet, which
    would start another on the same node; pods of protected namespaces; pods that have ended or are ending.
    """

    kind: ClassVar[str] = "quarantine-pods"
    confirm: ClassVar[Confirm] = "ask"

    pods: Pods

    def plan(self, incident: Incident, seen: Observed) -> Iterator[Change]:
        chosen = [pod for pod, why in _sorted(self.pods, seen) if not why]
        for namespace in sorted({at(p, ("metadata", "namespace"), "") for p in chosen}):
            policy = deny.deny_policy(incident, namespace)
            if not in_force(policy, deny.policy_ref(incident, namespace), seen):
                yield Create(ref=deny.policy_ref(incident, namespace), object=policy, why="denies all traffic of this incident's pods")
        for pod in chosen:
            if edits := tuple(label_edits(pod, labels_of(pod), incident)):
                yield Patch(ref=ref_of(pod, PODS), edits=edits, action="relabel", why="only the incident's policy selects it")
        check = Check(check="pods-isolated", ref=incident.target.pod, step=seen.step, run=seen.run)
        if chosen and check.mark not in seen.marks:
            yield check
        for namespace in sorted({at(p, ("metadata", "namespace"), "") for p in chosen}):
            yield from quarantine_budget.missing(incident, namespace, seen)
        for pod in chosen:
            if (owner := _owner(pod)) is not None and not incident.target.kept_labels and workloads.lets_go(owner, pod):
                yield Await(condition="detached", ref=ref_of(pod, PODS), owner=owner)

    def notes(self, incident: Incident, seen: Observed) -> Iterator[str]:
        found = _sorted(self.pods, seen)
        for reason in dict.fromkeys(why for _, why in found if why):
            names = [f"{at(p, ('metadata', 'namespace'))}/{at(p, ('metadata', 'name'))}" for p, why in found if why == reason]
            yield printable(f"{plural(len(names), 'pod')} can't be cut off, {reason}: {', '.join(names)}", 600)
        stateful = [ref_of(p, PODS) for p, why in found if not why and (controller_of(p) or {}).get("kind") == "StatefulSet"]
        for pod in stateful:
            yield f"{pod} is of a StatefulSet: its name stays taken, and no other starts in its place while it is kept"


def _sorted(pods: Sequence[ObjectRef], seen: Observed) -> list[tuple[Obj, str]]:
    """Those of the pods that are there, each with why it can't be cut off; empty: it can."""
    wanted = {pod.uid for pod in pods}
    protected = seen.settings.protected_namespaces
    namespaces = sorted({pod.namespace for pod in pods} - set(protected))
    found = [p for n in namespaces for p in seen.cluster.list(PODS, n) if at(p, ("metadata", "uid")) in wanted]
    listed = {at(p, ("metadata", "uid")) for p in found}
    bare: list[tuple[Obj, str]] = [({"metadata": {"name": p.name, "namespace": p.namespace}}, "their namespace is protected")
                                   for p in pods if p.uid not in listed and p.namespace in protected]  # fmt: skip
    return [(p, why_not(p)) for p in found] + bare


def why_not(pod: Obj) -> str:
    """Why this pod can't be cut off; empty: it can."""
    if at(pod, ("metadata", "deletionTimestamp")) or not workloads.active([pod]):
        return "they have ended, or are ending"
    if at(pod, ("spec", "hostNetwork")):
        return "they are on the host network, which no policy holds"
    if MIRROR in annotations_of(pod):
        return "they are static, run by the node whatever the API says"
    owner = controller_of(pod) or {}
    if owner.get("kind") == DAEMONSETS.kind:
        return "their DaemonSet would start others on the same node"
    return ""


def _owner(pod: Obj) -> ObjectRef | None:
    """Who controls it now, as the pod says."""
    owner = controller_of(pod)
    kind = next((k.resource for k in workloads.KINDS if owner and k.resource.kind == owner.get("kind")), None)
    if owner is None or not isinstance(kind, Resource):
        return None
    return ObjectRef(resource=kind, name=str(owner.get("name", "")), namespace=at(pod, ("metadata", "namespace"), ""), uid=str(owner.get("uid", "")))
