"""A cluster that is a list of objects: `ClusterReader` over dicts, and short ways to write objects."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from irkit.errors import ForbiddenError, NotFoundError
from irkit.model.incident import ClusterIdentity, Incident, Operator, Target
from irkit.model.kube import CRONJOBS, DEPLOYMENTS, JOBS, PODS, REPLICASETS, Obj, ObjectRef, Permission, Resource, known, ref_of
from irkit.ports import Observed, WatchEvent
from irkit.settings import Settings

NAMESPACE = "todo-app"
_uids = itertools.count(1)


@dataclass
class World:
    """The objects there are, the kinds that may not be read, the kinds that are not served, and every request made."""

    objects: list[Obj] = field(default_factory=list)
    forbidden: set[str] = field(default_factory=set)
    unserved: set[str] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)

    def add(self, *objects: Obj) -> World:
        self.objects += objects
        return self

    def _ask(self, verb: str, resource: Resource) -> None:
        self.requests.append(f"{verb} {resource.plural}")
        if resource.kind in self.forbidden:
            raise ForbiddenError(f"you may not {verb} {resource.plural}")

    def get(self, ref: ObjectRef, *, subresource: str = "") -> Obj:
        assert not subresource
        self._ask("get", ref.resource)
        for obj in self._of(ref.resource):
            found = ref_of(obj, ref.resource)
            if (found.namespace, found.name) == (ref.namespace, ref.name):
                return obj
        raise NotFoundError(f"{ref} is not there", status=404)

    def list(self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = "") -> Sequence[Obj]:
        assert not labels
        assert not fields
        self._ask("list", resource)
        if resource.kind in self.unserved:
            raise NotFoundError("the server could not find the requested resource", status=404)
        return [o for o in self._of(resource) if namespace in (None, ref_of(o, resource).namespace)]

    def _of(self, resource: Resource) -> Iterator[Obj]:
        return (o for o in self.objects if (o["apiVersion"], o["kind"]) == (resource.api_version, resource.kind))

    def watch(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = "", timeout: float = 60.0
    ) -> Iterator[WatchEvent]:
        raise AssertionError("nothing here watches")

    def logs(self, pod: ObjectRef, container: str, *, previous: bool = False) -> AbstractContextManager[Iterator[bytes]]:
        raise AssertionError("nothing here reads logs")

    def proxy(self, ref: ObjectRef, path: str) -> bytes:
        raise AssertionError("nothing here asks nodes")

    def can(self, permission: Permission) -> bool:
        return True


def make(resource: Resource, name: str, *, owner: Obj | None = None, spec: Obj | None = None, status: Obj | None = None, **meta: Any) -> Obj:
    """An object with a uid of its own, in NAMESPACE unless ``namespace`` says otherwise; ``owner`` controls and selects it."""
    metadata = {"name": name, "namespace": meta.pop("namespace", NAMESPACE), "uid": meta.pop("uid", f"uid-{next(_uids)}"), "generation": 1, **meta}
    if owner is not None:
        metadata["ownerReferences"] = [controlled_by(owner)]
        selected = ((owner.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
        metadata["labels"] = {**selected, **(metadata.get("labels") or {})}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec or {}, "status": status or {}}


def controlled_by(owner: Obj) -> Obj:
    return {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
            "controller": True, "blockOwnerDeletion": True}  # fmt: skip


def pod(name: str, *, owner: Obj | None = None, labels: dict[str, str] | None = None, phase: str = "Running", ready: bool = True,
        spec: Obj | None = None, **meta: Any) -> Obj:  # fmt: skip
    status = {"phase": phase, "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    return make(PODS, name, owner=owner, labels=labels or {}, spec=spec or {}, status=status, **meta)


def scaled(resource: Resource, name: str, replicas: int = 3, app: str = "", **more: Any) -> Obj:
    """A Deployment, ReplicaSet or StatefulSet, whole and ready, of pods labelled ``app: NAME``, or ``app: APP``."""
    labels = {"app": app or name}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {}}}
    status = {"observedGeneration": 1, "replicas": replicas, "readyReplicas": replicas, "updatedReplicas": replicas}
    return make(resource, name, spec={**spec, **more.pop("spec", {})}, status=status, **more)


def deployed(name: str, replicas: int = 3) -> tuple[Obj, Obj, list[Obj]]:
    """A Deployment, its ReplicaSet, and its pods."""
    deployment = scaled(DEPLOYMENTS, name, replicas)
    revision = scaled(REPLICASETS, f"{name}-7c7c86686d", replicas, name, owner=deployment)
    return deployment, revision, [pod(f"{name}-7c7c86686d-{i:05}", owner=revision, labels={"app": name}) for i in range(replicas)]


def ref(obj: Obj) -> ObjectRef:
    resource = known(obj["apiVersion"], obj["kind"])
    assert resource is not None
    return ref_of(obj, resource)


def incident(suspect: Obj, **target: Any) -> Incident:
    """An incident about ``suspect``, as it was when it opened."""
    return Incident(
        id="20261122T031502Z-backend-k7q2", opened="2026-11-22T03:15:02Z", operator=Operator(name="oncall"), playbook="compromised-pod",
        cluster=ClusterIdentity(context="prod", server="https://127.0.0.1:6443", uid="cluster-uid"),
        target=Target(pod=ref(suspect), labels=dict(suspect["metadata"].get("labels") or {}), phase="Running", **target),
    )  # fmt: skip


def seen(world: World) -> Observed:
    return Observed(cluster=world, now=datetime(2026, 11, 22, 3, 15, tzinfo=UTC), settings=Settings())


def job(name: str = "import", *, owner: Obj | None = None, over: bool = False, status: Obj | None = None, **spec: Any) -> Obj:
    conditions = [{"type": "Complete", "status": "True"}] if over else []
    template = {"metadata": {"labels": {"job-name": name}}, "spec": {}}
    return make(JOBS, name, owner=owner, spec={"suspend": False, "template": template, **spec}, status={"conditions": conditions, **(status or {})})


def cronjob(name: str = "nightly", **spec: Any) -> Obj:
    return make(CRONJOBS, name, spec={"schedule": "0 3 * * *", "suspend": False, **spec})
