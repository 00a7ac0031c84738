"""A small world in which a playbook is planned to find out what it needs: every kind of thing once, and a note of all that is asked of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

from irkit import workloads
from irkit.credentials.look import CERTIFICATES, EXTERNALSECRETS, SECRETSTORES
from irkit.credentials.reach import ACCOUNT_NAME, TOKEN_TYPE
from irkit.errors import NotFoundError
from irkit.model.credential import CLASS_ANNOTATION
from irkit.model.kube import (
    NAMESPACES,
    NODES,
    PODS,
    ROLEBINDINGS,
    ROLES,
    SECRETS,
    SERVICEACCOUNTS,
    Obj,
    ObjectRef,
    Permission,
    Resource,
    permission,
)
from irkit.ports import WatchEvent

LABELS = {"app": "sample"}
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
POD, NAME, NODE = "sample-0", "sample", "node"


class Notes:
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


def world(resource: Resource, namespace: str) -> Iterator[tuple[Resource, Obj]]:
    """One pod and its owners up to a workload of this kind, its node, its account, and a Secret of each kind that it uses."""
    pod = _object(PODS, POD, namespace)
    env = [{"secretRef": {"name": name}} for name in SECRETS_OF]
    pod |= {"spec": {"containers": [{"name": "app", "image": "sample", "envFrom": env}], "nodeName": NODE, "serviceAccountName": NAME},
            "status": {"phase": "Running"}}  # fmt: skip
    yield from _owners(pod, resource, namespace)
    yield PODS, pod
    yield NODES, _object(NODES, NODE, "")
    yield NAMESPACES, _object(NAMESPACES, namespace, "")
    yield SERVICEACCOUNTS, _object(SERVICEACCOUNTS, NAME, namespace)
    yield from _secrets(namespace)
    role = {"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}
    group = ROLES.group
    yield ROLES, _object(ROLES, NAME, namespace) | role
    yield ROLEBINDINGS, _object(ROLEBINDINGS, NAME, namespace) | {
        "roleRef": {"apiGroup": group, "kind": "Role", "name": NAME}, "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": namespace}]
    }  # fmt: skip


def _owners(pod: Obj, resource: Resource, namespace: str) -> Iterator[tuple[Resource, Obj]]:
    chain = {"Deployment": ("ReplicaSet", "Deployment"), "CronJob": ("Job", "CronJob")}.get(resource.kind, (resource.kind,))
    child = pod
    for kind in chain if resource != PODS else ():
        owner_resource = next(k.resource for k in workloads.KINDS if k.resource.kind == kind)
        owner = _object(owner_resource, NAME, namespace)
        template = {"metadata": {"labels": LABELS}, "spec": pod["spec"]}
        owner["spec"] = {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": template}
        owner["status"] = {"desiredNumberScheduled": 1}
        if kind == "CronJob":
            owner["spec"] = {"jobTemplate": {"spec": owner["spec"]}, "schedule": "@daily"}
        _own(child, owner_resource, owner)
        yield owner_resource, owner
        child = owner


def _own(child: Obj, resource: Resource, owner: Obj) -> None:
    meta = owner["metadata"]
    child["metadata"]["ownerReferences"] = [
        {"apiVersion": resource.api_version, "kind": resource.kind, "name": meta["name"], "uid": meta["uid"], "controller": True}
    ]


SECRETS_OF = (NAME, "immutable", "login", "external", "tls", "token")


def _secrets(namespace: str) -> Iterator[tuple[Resource, Obj]]:
    """One whose value irkit makes, one that can't be changed, a login, one that is synced, a certificate, a token that never ends."""
    for name, cls in zip(SECRETS_OF, ("generated", "generated", "database", "generated", "", ""), strict=True):
        secret = _object(SECRETS, name, namespace) | {"data": {"key": base64.b64encode(b"sample").decode()}, "type": "Opaque"}
        if cls:
            secret["metadata"]["annotations"] = {CLASS_ANNOTATION: json.dumps({"key": cls})}
        if name == "immutable":
            secret["immutable"] = True
        if name == "external":
            external = _object(EXTERNALSECRETS[0], name, namespace)
            remote = {"secretKey": "key", "remoteRef": {"key": "sample", "property": "key"}}
            external["spec"] = {"secretStoreRef": {"kind": "SecretStore", "name": NAME}, "target": {"name": name}, "data": [remote]}
            _own(secret, EXTERNALSECRETS[0], external)
            yield EXTERNALSECRETS[0], external
            store = {"provider": {"vault": {"server": "https://vault.example", "path": "secret", "version": "v2"}}}
            yield SECRETSTORES[0], _object(SECRETSTORES[0], NAME, namespace) | {"spec": store}
        if name == "tls":
            certificate = _object(CERTIFICATES[0], name, namespace) | {"spec": {"secretName": name, "issuerRef": {"kind": "Issuer", "name": NAME}}}
            secret |= {"type": "kubernetes.io/tls", "data": {"tls.crt": "", "tls.key": ""}}
            secret["metadata"]["annotations"] = {"cert-manager.io/certificate-name": name}
            yield CERTIFICATES[0], certificate
        if name == "token":
            secret["type"] = TOKEN_TYPE
            secret["metadata"]["annotations"] = {ACCOUNT_NAME: NAME}
        yield SECRETS, secret


def _object(resource: Resource, name: str, namespace: str) -> Obj:
    meta: dict[str, Any] = {"name": name, "uid": f"{resource.kind}-{name}", "labels": dict(LABELS), "resourceVersion": "1"}
    if namespace:
        meta["namespace"] = namespace
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta, "status": {}}
