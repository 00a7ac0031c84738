"""The least rights with which a playbook can be run: found by running its plan, not declared a second time.

Every kind of workload is put into a small world, the playbook is planned and judged against it, and what was read and
would be written is noted. What the evidence reads comes from its collectors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from typing import Any

from irkit import checks, collectors, workloads
from irkit.engine import binder, bindings, planner
from irkit.errors import IrkitError, NotFoundError
from irkit.model.changes import Capture, Create, Delete, Patch
from irkit.model.incident import ClusterIdentity, Incident, Operator
from irkit.model.kube import NAMESPACES, PODS, Obj, ObjectRef, Permission, Resource, permission
from irkit.model.playbook import Playbook
from irkit.ports import Observed, WatchEvent
from irkit.settings import Settings

_LABELS = {"app": "sample"}
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class _Notes:
    """A ClusterReader over a world of a few objects, which notes what was asked of it."""

    def __init__(self, world: Iterable[tuple[Resource, Obj]]) -> None:
        self._world = list(world)
        self.asked: set[Permission] = set()

    def get(self, ref: ObjectRef, *, subresource: str = "") -> Obj:
        self.asked.add(permission("get", ref.resource, ref.namespace, subresource=subresource, name="" if ref.resource.namespaced else ref.name))
        found = next((o for r, o in self._world if r == ref.resource and o["metadata"]["name"] == ref.name), None)
        if found is None:
            raise NotFoundError(f"{ref} not found", status=404)
        return found

    def list(self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = "") -> Sequence[Obj]:
        self.asked.add(permission("list", resource, namespace or ""))
        return [o for r, o in self._world if r == resource]

    def watch(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = "", timeout: float = 60.0
    ) -> Iterator[WatchEvent]:
        self.asked.add(permission("watch", resource, namespace or ""))
        return iter(())

    def logs(self, pod: ObjectRef, container: str, *, previous: bool = False) -> AbstractContextManager[Iterator[bytes]]:
        raise NotFoundError(f"{pod} {container} {previous}: no logs in a sample", status=404)

    def proxy(self, ref: ObjectRef, path: str) -> bytes:
        raise NotFoundError(f"{ref} {path}: no proxy in a sample", status=404)

    def can(self, permission: Permission) -> bool:
        return True


def least(playbook: Playbook, phase: str, namespace: str) -> tuple[Permission, ...]:
    """All permissions that a run of it may need in ``namespace``, whatever owns the pod; lifting included."""
    found: set[Permission] = {permission("get", NAMESPACES, name=n) for n in (namespace, "kube-system")}
    for kind in workloads.KINDS:
        found |= _of_kind(playbook, phase, namespace, kind.resource) | _of_gone(namespace, kind.resource)
    return tuple(sorted(found, key=lambda p: (p.namespace == "", p.group, p.resource, p.subresource, p.verb, p.name)))


def _of_kind(playbook: Playbook, phase: str, namespace: str, resource: Resource) -> set[Permission]:
    reader = _Notes(_world(resource, namespace))
    for ask in binder.asks(namespace):
        with suppress(IrkitError):
            ask(reader)
    incident = _incident(binder.bind(binder.parse("sample-0"), namespace, reader), playbook, phase)
    seen = Observed(cluster=reader, now=_EPOCH, settings=Settings())
    steps = planner.bind_steps(playbook.of(phase), playbook.target, incident)
    changes = [c for s in steps for c in planner.plan_step(s, incident, seen).changes]
    reader.asked |= {p for s in steps for p in getattr(s.step, "reads", ())}
    for check in checks.CHECKS:
        check.judge(incident, incident.target.pod, seen)
    needed = {p for c in changes for p in c.permissions}
    needed |= {p for c in changes if isinstance(c, Create) for p in c.inverse("uid").permissions}
    needed |= {p for c in changes if isinstance(c, Patch) for p in c.inverse.permissions}
    kept = [c.ref for c in changes if isinstance(c, Patch) and c.action == "relabel"]  # which `lift --pod delete` deletes
    needed |= {p for ref in kept for p in Delete(ref=ref, why="its evidence is sealed").permissions}
    take = sorted({t for c in changes if isinstance(c, Capture) for t in c.take})
    return needed | reader.asked | set(collectors.permissions(take, namespace))


def _of_gone(namespace: str, resource: Resource) -> set[Permission]:
    """What is read to find the owner of a pod that has ended."""
    reader = _Notes((r, o) for r, o in _world(resource, namespace) if r != PODS)
    with suppress(IrkitError):
        binder.bind(binder.parse("sample-0"), namespace, reader)
    return {p for p in reader.asked if p.namespace}


def _incident(target: Any, playbook: Playbook, phase: str) -> Incident:
    nowhere = ClusterIdentity(context="", server="", uid="")
    return Incident(id="20000101T000000Z-sample-sample", opened="2000-01-01T00:00:00Z", operator=Operator(name="sample"), target=target,
                    cluster=nowhere, playbook=playbook.name, phase=phase, parameters=bindings.samples(playbook))  # fmt: skip


def _world(resource: Resource, namespace: str) -> Iterator[tuple[Resource, Obj]]:
    """One pod and its owners up to a workload of this kind."""
    pod = _object(PODS, "sample-0", namespace)
    pod |= {"spec": {"containers": [{"name": "app", "image": "sample"}], "nodeName": "node"}, "status": {"phase": "Running"}}
    chain = {"Deployment": ("ReplicaSet", "Deployment"), "CronJob": ("Job", "CronJob")}.get(resource.kind, (resource.kind,))
    child = pod
    for kind in chain if resource != PODS else ():
        owner_resource = next(k.resource for k in workloads.KINDS if k.resource.kind == kind)
        owner = _object(owner_resource, "sample", namespace)
        template = {"metadata": {"labels": _LABELS}, "spec": pod["spec"]}
        owner["spec"] = {"replicas": 1, "selector": {"matchLabels": _LABELS}, "template": template}
        owner["status"] = {"desiredNumberScheduled": 1}
        if kind == "CronJob":
            owner["spec"] = {"jobTemplate": {"spec": owner["spec"]}, "schedule": "@daily"}
        uid = owner["metadata"]["uid"]
        reference = {"apiVersion": owner_resource.api_version, "kind": kind, "name": "sample", "uid": uid, "controller": True}
        child["metadata"]["ownerReferences"] = [reference]
        yield owner_resource, owner
        child = owner
    yield PODS, pod


def _object(resource: Resource, name: str, namespace: str) -> Obj:
    meta = {"name": name, "namespace": namespace, "uid": f"{resource.kind}-{name}", "labels": dict(_LABELS), "resourceVersion": "1"}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta, "status": {}}


def manifests(permissions: Sequence[Permission], name: str, namespace: str) -> list[Obj]:
    """A Role for what is in the namespace and a ClusterRole for what is not; both empty of anything else."""
    inside = [p for p in permissions if p.namespace == namespace]
    outside = [p for p in permissions if p.namespace != namespace]
    found = []
    for kind, chosen in (("Role", inside), ("ClusterRole", outside)):
        if chosen:
            meta = {"name": f"irkit-{name}"} | ({"namespace": namespace} if kind == "Role" else {})
            found.append({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": meta, "rules": _rules(chosen)})
    return found


def _rules(permissions: Sequence[Permission]) -> list[Obj]:
    """One rule for all resources of a group with the same verbs and, where every right is on named objects, the same names."""
    names: dict[tuple[str, str, str], set[str]] = {}
    for p in permissions:
        names.setdefault((p.group, f"{p.resource}/{p.subresource}" if p.subresource else p.resource, p.verb), set()).add(p.name)
    verbs: dict[tuple[str, str, tuple[str, ...]], set[str]] = {}
    for (group, resource, verb), named in names.items():
        verbs.setdefault((group, resource, () if "" in named else tuple(sorted(named))), set()).add(verb)
    merged: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for (group, resource, only), allowed in verbs.items():
        merged.setdefault((group, tuple(sorted(allowed)), only), []).append(resource)
    return [
        {"apiGroups": [group], "resources": sorted(resources), "verbs": list(allowed)} | ({"resourceNames": list(only)} if only else {})
        for (group, allowed, only), resources in sorted(merged.items())
    ]
