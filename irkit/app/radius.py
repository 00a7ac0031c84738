"""The blast radius of a pod, a workload or a node: which credentials must be considered stolen, and why. Reads only."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from irkit import API_VERSION, credentials
from irkit.app.ages import by_vault
from irkit.app.runs import pool_of
from irkit.credentials.document import finding_doc, missing_doc
from irkit.credentials.radius import Radius
from irkit.engine import binder
from irkit.engine.observe import Snapshot
from irkit.engine.result import describe
from irkit.errors import ForbiddenError, InvalidError, NotFoundError, UsageError
from irkit.model.kube import (
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    NODES,
    PODS,
    ROLEBINDINGS,
    ROLES,
    SECRETS,
    SERVICEACCOUNTS,
    Obj,
    ObjectRef,
    at,
    ref_of,
)
from irkit.ports import ClusterReader, Ports, exists
from irkit.text import nearest, printable

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")  # RFC 1123 subdomain
_DANGERS: tuple[tuple[str, Callable[[Obj], bool]], ...] = (
    ("hostPID", lambda spec: spec.get("hostPID") is True),
    ("a privileged container", lambda spec: any(at(c, ("securityContext", "privileged")) is True for c in spec.get("containers") or ())),
    ("a hostPath volume", lambda spec: any("hostPath" in v for v in spec.get("volumes") or ())),
)


class BlastRadius(msgspec.Struct, kw_only=True, rename="camel"):
    """The document of ``-o json`` (docs/reference/blast-radius.md)."""

    api_version: str = API_VERSION
    kind: str = "BlastRadius"
    target: dict[str, str] = {}
    credentials: list[dict[str, Any]] = []
    missing: list[dict[str, str]] = []
    next: str = ""


class Report(msgspec.Struct, frozen=True):
    """What was found about whom. ``dangers``: what would let the pod out to its node."""

    target: ObjectRef
    radius: Radius
    pods: int
    node: str = ""
    dangers: tuple[str, ...] = ()
    next: str = ""

    def document(self) -> BlastRadius:
        found, unknown = self.radius.findings, self.radius.unknown
        return BlastRadius(target=describe(self.target), credentials=[finding_doc(f) for f in found], missing=missing_doc(unknown), next=self.next)


def blast_radius(ports: Ports, target: str | None, selector: str | None, namespace: str, *, node: bool = False) -> Report:
    """Everything that the target's pods could reach; with ``node``, that all pods of its node could.

    Raises UsageError for an unknown target, ForbiddenError where nothing at all can be said.
    """
    with pool_of(ports) as pool:
        cluster = Snapshot(ports.cluster, pool)
        namespace = namespace or ports.connection.namespace
        ref, pods = _target(target, selector, namespace, cluster)
        nodes = sorted({n for p in pods if (n := at(p, ("spec", "nodeName")))})
        if node and ref.resource != NODES:
            ref, pods = _node(_only(nodes, ref), cluster)
        _warm(cluster, {at(p, ("metadata", "namespace"), "") for p in pods})
        found = credentials.reached(pods, cluster, ports.settings, ports.clock.now())
        found = by_vault(found, ports, pool)
    if not found.findings and found.unknown:
        raise ForbiddenError(f"nothing can be said of what {ref} could reach: {found.unknown[0].why}")
    dangers = tuple(name for name, has in _DANGERS if ref.resource != NODES and any(has(at(p, ("spec",), {})) for p in pods) and nodes)
    return Report(target=ref, radius=found, pods=len(pods), node=nodes[0] if nodes else "", dangers=dangers, next=_next(ref, found))


def _target(target: str | None, selector: str | None, namespace: str, cluster: ClusterReader) -> tuple[ObjectRef, Sequence[Obj]]:
    kind, slash, name = (target or "").partition("/")
    if slash and kind.lower() in ("node", "nodes", "no") and not selector:
        return _node(name, cluster)
    wanted = binder.parse(target, selector)
    if wanted.selector:
        try:
            pods = cluster.list(PODS, namespace, labels=wanted.selector)
        except InvalidError as error:
            raise UsageError(f"{wanted} is no label selector: {error.message}", next="a selector is like app=web,tier!=front") from None
        if not pods:
            raise UsageError(f"no pod in {printable(namespace)} matches {wanted}")
        return ref_of(pods[0], PODS), pods
    bound = binder.bind(wanted, namespace, cluster, any_pod=True)
    if wanted.resource is PODS and not bound.gone:
        return bound.pod, [cluster.get(bound.pod)]
    ref = bound.workload if bound.workload is not None and wanted.resource is not PODS else bound.pod
    pods = [p for r in bound.siblings if (p := exists(cluster, r))]
    if bound.workload is not None and not pods:
        pods = [credentials.template(bound.workload, cluster.get(bound.workload))]
    if not pods:
        raise UsageError(f"{bound.pod} is gone, and nothing is left that says what it could reach", next=f"irkit collect {printable(bound.pod.name)}")
    return ref, pods


def _node(name: str, cluster: ClusterReader) -> tuple[ObjectRef, Sequence[Obj]]:
    """A node and all pods on it. Raises UsageError where there is no such node."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"'{printable(name, 60)}' can't be the name of a node", next="kubectl get nodes")
    pods = cluster.list(PODS, None, fields=f"spec.nodeName={name}")
    try:
        ref = ref_of(cluster.get(ObjectRef(resource=NODES, name=name)), NODES)
    except ForbiddenError:
        ref = ObjectRef(resource=NODES, name=name)
    except NotFoundError:
        near = nearest(name, [at(n, ("metadata", "name"), "") for n in cluster.list(NODES)], 3)
        hint = f"; did you mean {' or '.join(map(printable, near))}?" if near else ""
        raise UsageError(f"there is no node {printable(name)}{hint}", next="kubectl get nodes") from None
    if not pods:
        raise UsageError(f"no pod runs on node {printable(name)}", next="kubectl get nodes")
    return ref, pods


def _only(nodes: Sequence[str], ref: ObjectRef) -> str:
    if len(nodes) == 1:
        return nodes[0]
    on = f"on {len(nodes)} nodes: {', '.join(map(printable, nodes[:20]))}" if nodes else "on no node"
    raise UsageError(f"{ref} is {on}; name one", next="irkit blast-radius node/NAME")


def _warm(cluster: Snapshot, namespaces: set[str]) -> None:
    """Begin the lists that are needed in any case."""
    where = next(iter(namespaces)) if len(namespaces) == 1 else None
    local = (SECRETS, SERVICEACCOUNTS, PODS, *credentials.TEMPLATES)
    wide = (ROLEBINDINGS, CLUSTERROLES, CLUSTERROLEBINDINGS, ROLES)
    asks: list[Callable[[ClusterReader], object]] = [lambda c, r=r: c.list(r, where) for r in local]  # type: ignore[misc]
    cluster.warm([*asks, *(lambda c, r=r: c.list(r) for r in wide)])


def _next(ref: ObjectRef, found: Radius) -> str:
    if ref.resource == NODES:
        return f"kubectl cordon {printable(ref.name)}"
    name = printable(ref.name) if ref.resource == PODS else f"{ref.kind.lower()}/{printable(ref.name)}"
    return f"irkit rotate {name} -n {printable(ref.namespace)}" if found.findings else f"irkit verify {name} -n {printable(ref.namespace)}"
