"""A cluster of dicts that can be read, and that may refuse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from irkit import collectors
from irkit.errors import IrkitError, NotFoundError
from irkit.model.evidence import Artefact, Missing, Scope
from irkit.model.kube import (
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    CONFIGMAPS,
    DEPLOYMENTS,
    ENDPOINTSLICES,
    EVENTS,
    NAMESPACES,
    NETWORKPOLICIES,
    NODES,
    PODS,
    PVCS,
    REPLICASETS,
    ROLEBINDINGS,
    ROLES,
    SECRETS,
    SERVICEACCOUNTS,
    SERVICES,
    Obj,
    ObjectRef,
    Permission,
    Resource,
    at,
    permission,
)  # fmt: skip
from irkit.ports import WatchEvent

KEY = b"k" * 32
ALL = collectors.NAMES


@dataclass
class World:
    """Implements `ClusterReader`. ``logs_of``: chunks, or the error that entering raises, by container and whether previous."""

    objects: list[tuple[Resource, Obj]] = field(default_factory=list)
    logs_of: dict[tuple[str, bool], list[bytes] | IrkitError] = field(default_factory=dict)
    refuses: dict[tuple[str, str], IrkitError] = field(default_factory=dict)  # by verb and plural, or "plural, everywhere"
    unserved: set[str] = field(default_factory=set)
    asked: list[Permission] = field(default_factory=list)

    def get(self, ref: ObjectRef, *, subresource: str = "") -> Obj:
        self._ask("get", ref.resource, ref.namespace)
        for resource, obj in self.objects:
            if resource == ref.resource and (at(obj, ("metadata", "namespace"), ""), at(obj, ("metadata", "name"))) == (ref.namespace, ref.name):
                return obj
        raise NotFoundError(f"{ref} not found", status=404)

    def list(self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = "") -> Sequence[Obj]:
        self._ask("list", resource, namespace)
        if resource.plural in self.unserved:
            raise NotFoundError("the server could not find the requested resource", status=404)
        found = [o for r, o in self.objects if r == resource and namespace in (None, at(o, ("metadata", "namespace")))]
        wanted = [pair.split("=") for pair in fields.split(",") if pair]
        return [o for o in found if all(at(o, path.split(".")) == value for path, value in wanted)]

    def watch(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = "", timeout: float = 60.0
    ) -> Iterator[WatchEvent]:
        return iter(())

    @contextmanager
    def logs(self, pod: ObjectRef, container: str, *, previous: bool = False) -> Iterator[Iterator[bytes]]:
        self._ask("get", PODS, pod.namespace, "log")
        found = self.logs_of.get((container, previous), NotFoundError("no log", status=404))
        if isinstance(found, IrkitError):
            raise found
        yield iter(found)

    def proxy(self, ref: ObjectRef, path: str) -> bytes:
        return b""

    def can(self, permission: Permission) -> bool:
        return True

    def _ask(self, verb: str, resource: Resource, namespace: str | None, subresource: str = "") -> None:
        self.asked.append(permission(verb, resource, namespace or "", subresource=subresource))
        for name in (resource.plural, *((f"{resource.plural}, everywhere",) if not namespace else ())):
            if error := self.refuses.get((verb, name)):
                raise error


def meta(name: str, namespace: str = "shop", **more: Any) -> Obj:
    return {"name": name, "uid": f"uid-{name}", **({"namespace": namespace} if namespace else {}), **more}


def event(kind: str, name: str, reason: str, namespace: str = "shop", **more: Any) -> tuple[Resource, Obj]:
    involved = {"kind": kind, "name": name, "uid": name if kind == "Node" else f"uid-{name}"}
    return EVENTS, {"metadata": meta(f"{name}.{reason}", namespace), "involvedObject": involved, "reason": reason, **more}


def owned(name: str, owner: str, **more: Any) -> Obj:
    return meta(name, ownerReferences=[{"kind": "Any", "name": owner, "uid": f"uid-{owner}", "controller": True}], **more)


POD: Obj = {
    "apiVersion": "v1", "kind": "Pod",
    "metadata": owned("web-1", "web-abc", labels={"quarantine": "true"}),
    "spec": {
        "nodeName": "node-1", "serviceAccountName": "web-sa",
        "containers": [{"name": "app", "env": [
            {"name": "A", "valueFrom": {"secretKeyRef": {"name": "web-secret", "key": "password"}}},
            {"name": "B", "value": "plain \x1b[2J"},
            {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "absent", "optional": True}}}]}],
        "initContainers": [{"name": "setup", "envFrom": [{"configMapRef": {"name": "web-config"}}]}],
        "ephemeralContainers": [{"name": "debug"}],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "web-data"}}, {"name": "gone", "secret": {"secretName": "gone"}}],
    },
    "status": {"phase": "Running", "containerStatuses": [
        {"name": "app", "restartCount": 1, "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1}}}],
        "initContainerStatuses": [{"name": "setup", "restartCount": 0, "state": {"terminated": {"exitCode": 0}}}],
        "ephemeralContainerStatuses": [{"name": "debug", "restartCount": 0, "state": {"waiting": {}}}]},
}  # fmt: skip

SECRET: Obj = {
    "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": {"password": "aHVudGVyMg=="},
    "metadata": meta("web-secret", annotations={"kubectl.kubernetes.io/last-applied-configuration": '{"data":{"password":"aHVudGVyMg=="}}'}),
}  # fmt: skip


def world() -> World:
    """Namespace shop: a Deployment web with two pods, the first of them the suspect, which is cut off already."""
    sibling = {**POD, "metadata": owned("web-2", "web-abc", labels={"app": "web"})}
    reach = {"subjects": [{"kind": "ServiceAccount", "name": "web-sa", "namespace": "shop"}]}
    return World(
        objects=[
            (PODS, POD), (PODS, sibling), (SECRETS, SECRET),
            (CONFIGMAPS, {"metadata": meta("web-config", annotations={"x": "config-value"}), "data": {"KEY": "config-value"},
                          "binaryData": {"B": "AAAA"}}),
            (PVCS, {"metadata": meta("web-data")}), (NODES, {"metadata": meta("node-1", "")}),
            (NAMESPACES, {"metadata": meta("shop", "", labels={"team": "a"})}), (NAMESPACES, {"metadata": meta("other", "")}),
            (DEPLOYMENTS, {"metadata": meta("web")}),
            (REPLICASETS, {"metadata": owned("web-abc", "web")}), (REPLICASETS, {"metadata": owned("web-old", "web")}),
            (REPLICASETS, {"metadata": owned("foreign", "other")}),
            (SERVICES, {"metadata": meta("web"), "spec": {"selector": {"app": "web"}}}),
            (SERVICES, {"metadata": meta("quarantined"), "spec": {"selector": {"quarantine": "true"}}}),
            (SERVICES, {"metadata": meta("none"), "spec": {}}),
            (ENDPOINTSLICES, {"metadata": meta("web-x", labels={"kubernetes.io/service-name": "web"}), "endpoints": None}),
            (ENDPOINTSLICES, {"metadata": meta("by-hand"), "endpoints": [{"targetRef": {"uid": "uid-web-1"}}]}),
            (ENDPOINTSLICES, {"metadata": meta("foreign"), "endpoints": [{"targetRef": {"uid": "uid-other"}}, {}]}),
            (NETWORKPOLICIES, {"metadata": meta("deny")}),
            (SERVICEACCOUNTS, {"metadata": meta("web-sa")}),
            (ROLEBINDINGS, {"metadata": meta("here"), "roleRef": {"kind": "Role", "name": "reader"}, **reach}),
            (ROLEBINDINGS, {"metadata": meta("there", "other"), "roleRef": {"kind": "ClusterRole", "name": "system:view"}, **reach}),
            (ROLEBINDINGS, {"metadata": meta("theirs"), "roleRef": {"kind": "Role", "name": "secret"},
                            "subjects": [{"kind": "User", "name": "ann"}]}),
            (ROLES, {"metadata": meta("reader")}), (ROLES, {"metadata": meta("reader", "other")}), (ROLES, {"metadata": meta("secret")}),
            (CLUSTERROLEBINDINGS, {"metadata": meta("all", ""), "roleRef": {"kind": "ClusterRole", "name": "basic"},
                                   "subjects": [{"kind": "Group", "name": "system:serviceaccounts:shop"}]}),
            *((CLUSTERROLES, {"metadata": meta(name, "")}) for name in ("system:view", "basic", "admin")),
            event("Pod", "web-1", "Killing", lastTimestamp="2026-11-22T03:00:02Z", message="bye\x1b[2J\nforged line", count=3, type="Warning"),
            event("ReplicaSet", "web-abc", "Created", eventTime="2026-11-22T03:00:01.5Z", lastTimestamp=None, reportingComponent="rs"),
            event("Pod", "stranger", "Other", lastTimestamp="2026-11-22T03:00:00Z"),
            event("Node", "node-1", "Pressure", "default", lastTimestamp="2026-11-22T03:00:03Z"),
            event("Node", "node-2", "Elsewhere", "default", lastTimestamp="2026-11-22T03:00:03Z"),
        ],
        logs_of={("app", False): [b"now\n"], ("app", True): [b"before\n"], ("setup", False): [b"setting ", b"up\n"]},
    )  # fmt: skip


def scope(*, suspect: bool = True, **more: Any) -> Scope:
    name = "web-1" if suspect else "web-2"
    owners = (ObjectRef(resource=REPLICASETS, name="web-abc", namespace="shop", uid="uid-web-abc"),
              ObjectRef(resource=DEPLOYMENTS, name="web", namespace="shop", uid="uid-web"))  # fmt: skip
    facts: dict[str, Any] = {"owners": owners, "node": "node-1", "labels": {"app": "web", "tier": "x"}, "service_account": "web-sa", **more}
    return Scope(pod=ObjectRef(resource=PODS, name=name, namespace="shop", uid=f"uid-{name}"), suspect=suspect, **facts)


def collected(cluster: World, take: Sequence[str] = ALL, of: Scope | None = None) -> tuple[dict[str, bytes | IrkitError], dict[str, Missing]]:
    """Path → bytes, or the error that its source raised; what → gap."""
    files: dict[str, bytes | IrkitError] = {}
    gaps: dict[str, Missing] = {}
    for piece in collectors.collect(of or scope(), take, cluster, KEY):
        if isinstance(piece, Artefact):
            path = "/".join(piece.path)
            assert path not in files
            try:
                files[path] = b"".join(piece.open())
            except IrkitError as error:
                files[path] = error
        else:
            assert piece.what not in gaps
            gaps[piece.what] = piece
    return files, gaps
