"""Kinds of workloads, one file each; `KINDS` is all of them."""

from __future__ import annotations

from collections.abc import Sequence

from irkit.errors import ForbiddenError, NotFoundError, UsageError
from irkit.model.kube import CRONJOBS, DEPLOYMENTS, JOBS, PODS, REPLICASETS, Obj, ObjectRef, Resource, at, controller_of, labels_of, ref_of, selects
from irkit.ports import ClusterReader
from irkit.text import printable
from irkit.workloads.base import Workload, WorkloadKind
from irkit.workloads.cronjob import CronJob
from irkit.workloads.daemonset import DaemonSet
from irkit.workloads.deployment import Deployment
from irkit.workloads.job import Job
from irkit.workloads.pod import BarePod
from irkit.workloads.replicaset import ReplicaSet
from irkit.workloads.shared import active
from irkit.workloads.statefulset import StatefulSet

KINDS: tuple[WorkloadKind, ...] = (Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob, BarePod)


__all__ = ["KINDS", "Workload", "WorkloadKind", "active", "kind_of", "lets_go", "observe", "owner_chain", "workload_of"]


def kind_of(resource: Resource) -> WorkloadKind | None:
    """The kind that irkit knows by this group and kind, whatever the version."""
    return next((k for k in KINDS if (k.resource.group, k.resource.kind) == (resource.group, resource.kind)), None)


def observe(ref: ObjectRef, cluster: ClusterReader) -> Workload:
    """The workload as it is now.

    Raises NotFoundError where it is gone, or another object has taken its name; UsageError where irkit doesn't know the kind.
    """
    kind = kind_of(ref.resource)
    if kind is None:
        names = ", ".join(k.resource.kind for k in KINDS)
        raise UsageError(f"irkit can't stop a {printable(ref.kind)}; it knows {names}")
    obj = cluster.get(ref)
    found = ref_of(obj, kind.resource)
    if ref.uid and found.uid != ref.uid:
        raise NotFoundError(f"{ref} is gone; another one has its name now", status=404, reason="NotFound")
    return kind(found, obj, cluster)


def lets_go(owner: ObjectRef, pod: Obj) -> bool:
    """Whether the controller ``owner`` takes its name off ``pod`` once it no longer selects it, so that one may wait for that.

    ReplicaSets look at active pods only (FilterActivePods, replica_set.go), and a finished Job at none: a pod that has
    ended, or is being deleted, keeps its owner. Scaling and suspending end no such pod either (seen with 1.35). What
    kinds do that irkit doesn't know is not known.
    """
    if kind_of(owner.resource) is None or at(pod, ("metadata", "deletionTimestamp")) is not None:
        return False
    return bool(active([pod])) or owner.resource not in (REPLICASETS, JOBS)


def owner_chain(pod: Obj, cluster: ClusterReader) -> tuple[ObjectRef, ...]:
    """Who controls ``pod``, nearest first: ReplicaSet, Deployment. Empty for a bare pod.

    Whoever may write a pod may claim any owner for it. So each owner was read, has the uid that its child names, is of a
    kind that owns such children, and selects this one; a reference for which that is not so ends the chain. It also
    ends at a kind that irkit doesn't know (an Argo Rollout, an operator's resource), which is its last member, its
    resource guessed from the kind, and at an owner that may not be read.
    """
    chain: list[ObjectRef] = []
    child: Obj | None = pod
    while child is not None and (owner := controller_of(child)) is not None and len(chain) < 8:
        ref = _owner_ref(owner, at(pod, ("metadata", "namespace"), ""))
        if kind_of(ref.resource) is None:
            return (*chain, ref)
        try:
            found = _read(ref, cluster)
        except ForbiddenError:
            return (*chain, ref)
        if found is not None and _may_own(ref, found, child):
            chain.append(ref)
            child = found
        else:
            child = None
    return tuple(chain)


def workload_of(pod: Obj, chain: Sequence[ObjectRef]) -> ObjectRef:
    """What must be stopped so that no more pods like ``pod`` start: the last owner that irkit can stop, or the bare pod itself."""
    known = [ref for ref in chain if kind_of(ref.resource) is not None]
    return known[-1] if known else ref_of(pod, PODS)


_CHILDREN = {DEPLOYMENTS: "ReplicaSet", CRONJOBS: "Job"}  # the others own pods


def _may_own(ref: ObjectRef, owner: Obj, child: Obj) -> bool:
    """Whether its controller would keep this child: it releases what it does not select (controller_ref_manager.go)."""
    selector = at(owner, ("spec", "selector"))
    return child.get("kind", "Pod") == _CHILDREN.get(ref.resource, "Pod") and (selector is None or selects(selector, labels_of(child)))


def _owner_ref(owner: Obj, namespace: str) -> ObjectRef:
    group, _, version = str(owner.get("apiVersion", "")).rpartition("/")
    kind = str(owner.get("kind", ""))
    guess = Resource(group, version, f"{kind.lower()}s", kind, namespaced=(group, kind) != ("", "Node"))
    found = kind_of(guess)
    resource = found.resource if found is not None else guess
    return ObjectRef(resource=resource, name=str(owner.get("name", "")), namespace=namespace if resource.namespaced else "",
                     uid=str(owner.get("uid", "")))  # fmt: skip


def _read(ref: ObjectRef, cluster: ClusterReader) -> Obj | None:
    """The very owner. ReplicaSets and Jobs come from the list that finding the siblings needs in any case."""
    if ref.resource in (REPLICASETS, JOBS):
        return next((o for o in cluster.list(ref.resource, ref.namespace) if at(o, ("metadata", "uid")) == ref.uid), None)
    try:
        obj = cluster.get(ref)
    except NotFoundError:
        return None
    return obj if at(obj, ("metadata", "uid")) == ref.uid else None
