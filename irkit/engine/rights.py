"""The least rights with which a playbook can be run: found by running its plan, not declared a second time.

Every kind of workload is put into a small world, the playbook is planned and judged against it, and what was read and
would be written is noted. What the evidence reads comes from its collectors.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from irkit import checks, collectors, workloads
from irkit.credentials.look import CERTIFICATES, CM_GROUP, EXTERNALSECRETS
from irkit.engine import binder, bindings, planner, subjects
from irkit.engine.sample import EPOCH, NAME, NODE, POD, SECRETS_OF, Notes, world
from irkit.errors import IrkitError
from irkit.model.changes import Capture, Change, Create, Delete, Patch
from irkit.model.evidence import OF_LIFT
from irkit.model.incident import ClusterIdentity, Incident, Operator, Target
from irkit.model.kube import NAMESPACES, NODES, PDBS, PODS, SECRETS, SERVICEACCOUNTS, Obj, Permission, Resource, permission
from irkit.model.playbook import Playbook
from irkit.ports import Observed
from irkit.settings import Settings
from irkit.steps.rotate import Rotate

_ISSUERS = (Resource(CM_GROUP, "v1", "issuers", "Issuer"), Resource(CM_GROUP, "v1", "clusterissuers", "ClusterIssuer", False))
_REVIEWS = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", False)


def least(playbook: Playbook, phase: str, namespace: str) -> tuple[Permission, ...]:
    """All permissions that a run of it may need in ``namespace``, whatever owns the pod; lifting included.

    A playbook about a node acts in all namespaces: its rights are cluster-wide.
    """
    found: set[Permission] = {permission("get", NAMESPACES, name=n) for n in (namespace, "kube-system")}
    about = playbook.target.type if playbook.target else "pod"
    for kind in workloads.KINDS:
        found |= _of_kind(playbook, phase, namespace, kind.resource)
        if about in ("pod", "workload"):
            found |= _of_gone(namespace, kind.resource)
    if about == "node":
        found = {msgspec.structs.replace(p, namespace="") for p in found if p.name != namespace}
        found = {msgspec.structs.replace(p, name="") if p.resource == NODES.plural else p for p in found}
    return tuple(sorted(found, key=lambda p: (p.namespace == "", p.group, p.resource, p.subresource, p.verb, p.name)))


def blocking(permission: Permission) -> bool:
    """Whether a run is refused for want of it: a write, but of nothing optional, as the budget of a kept pod is."""
    return permission.verb not in ("get", "list", "watch") and permission.resource != PDBS.plural


def _targets(playbook: Playbook, namespace: str, reader: Notes) -> Iterator[Target]:
    """Samples of what the playbook is about; the reads that binding them takes are noted."""
    about = playbook.target.type if playbook.target else "pod"
    resource = subjects.RESOURCES.get(about, PODS)
    for ask in binder.asks(namespace, resource):
        with suppress(IrkitError):
            ask(reader)
    names = {"namespace": (namespace,), "node": (NODE,), "secret": SECRETS_OF, "serviceaccount": (NAME,)}.get(about, (POD,))
    for name in names:
        yield binder.bind(binder.Wanted(resource, name), namespace, reader)


def _of_kind(playbook: Playbook, phase: str, namespace: str, resource: Resource) -> set[Permission]:
    reader = Notes(world(resource, namespace))
    found: set[Permission] = set()
    for target in _targets(playbook, namespace, reader):
        found |= _of_target(_incident(target, playbook, phase), playbook, namespace, reader)
    return found | reader.asked


def _of_target(incident: Incident, playbook: Playbook, namespace: str, reader: Notes) -> set[Permission]:
    seen = Observed(cluster=reader, now=EPOCH, settings=Settings())
    steps = [_at_any_age(s) for s in planner.bind_steps(playbook.of(incident.phase), playbook.target, incident)]
    changes = [c for s in steps for c in planner.plan_step(s, incident, seen, noted=True).changes]
    reader.asked |= {p for s in steps for p in getattr(s.step, "reads", ())}
    if incident.target.is_pod:
        for check in checks.CHECKS:
            check.judge(incident, incident.target.pod, seen)
    take = {t for c in changes if isinstance(c, Capture) for t in c.take}
    if any(isinstance(c, Patch) and c.action == "relabel" for c in changes):
        take |= set(OF_LIFT)  # `lift --pod delete` collects what is not yet
    rotating = set(_rotating(namespace)) if any(s.step.kind == "rotate" for s in steps) else set()
    return _written(changes) | rotating | set(collectors.permissions(sorted(take), namespace))


def _at_any_age(step: planner.BoundStep) -> planner.BoundStep:
    """The same step as if everything were due."""
    return msgspec.structs.replace(step, step=dataclasses.replace(step.step, due=False)) if isinstance(step.step, Rotate) else step


def _written(changes: Sequence[Change]) -> set[Permission]:
    """What the changes need, and undoing them."""
    needed = {p for c in changes for p in c.permissions}
    needed |= {p for c in changes if isinstance(c, Create) for p in c.inverse("uid").permissions}
    needed |= {p for c in changes if isinstance(c, Patch) and not c.forward for p in c.inverse.permissions}
    kept = [c.ref for c in changes if isinstance(c, Patch) and c.action == "relabel"]  # which `lift --pod delete` deletes
    return needed | {p for ref in kept for p in Delete(ref=ref, why="its evidence is sealed").permissions}


def _rotating(namespace: str) -> Iterator[Permission]:
    """What rotators read while they work, and with which they prove that an old token is dead."""
    yield permission("get", SECRETS, namespace)
    yield from (permission(verb, EXTERNALSECRETS[0], namespace) for verb in ("get", "list", "watch"))
    yield from (permission(verb, CERTIFICATES[0], namespace) for verb in ("get", "list"))
    yield from (permission(verb, issuer, namespace) for issuer in _ISSUERS for verb in ("get", "list"))
    yield permission("get", SERVICEACCOUNTS, namespace)
    yield permission("create", SERVICEACCOUNTS, namespace, subresource="token")
    yield permission("create", _REVIEWS)


def _of_gone(namespace: str, resource: Resource) -> set[Permission]:
    """What is read to find the owner of a pod that has ended."""
    reader = Notes((r, o) for r, o in world(resource, namespace) if r != PODS)
    with suppress(IrkitError):
        binder.bind(binder.parse(POD), namespace, reader)
    return {p for p in reader.asked if p.namespace}


def _incident(target: Any, playbook: Playbook, phase: str) -> Incident:
    nowhere = ClusterIdentity(context="", server="", uid="")
    return Incident(id="20000101T000000Z-sample-sample", opened="2000-01-01T00:00:00Z", operator=Operator(name="sample"), target=target,
                    cluster=nowhere, playbook=playbook.name, phase=phase, parameters=bindings.samples(playbook))  # fmt: skip


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
