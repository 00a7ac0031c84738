"""The state of the rehearsal cluster: objects by kind, namespace and name, and the history that watches replay.

Objects in the store are never changed in place, so readers share them without copying. Every write gives the object a
new resourceVersion and lands in the history, in one order for everybody. A write that changes nothing is none.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from irkit.model.kube import Obj, Resource
from irkit.ports import Clock
from irkit.sandbox.catalog import PODS, Catalog, Served
from irkit.sandbox.clock import stamp
from irkit.sandbox.defaults import complete, identify
from irkit.sandbox.failures import exists, forbidden, not_found
from irkit.sandbox.images import Images
from irkit.sandbox.names import Names
from irkit.sandbox.patches import fields
from irkit.sandbox.patches.merge import merge

MOST_PODS = 3000
"""As many as there may be: it is a process on somebody's laptop, and who scales to a million is told no, as by a ResourceQuota."""
HISTORY = 5000
"""How many writes a watch can go back."""
_WITHOUT_GENERATION = {"Namespace", "Node", "Service", "Lease", "PersistentVolume", "PersistentVolumeClaim", "ResourceQuota", "LimitRange",
                       "HorizontalPodAutoscaler"}  # fmt: skip
_ORDER = ("kind", "apiVersion", "metadata", "spec", "status")
_META_ORDER = ("name", "generateName", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
               "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences", "finalizers", "managedFields")  # fmt: skip
CONTROLLERS = "kube-controller-manager"
KUBELET = "kubelet"


class Written(NamedTuple):
    """One write, as a watch tells it. ``before`` is None for ADDED."""

    version: int
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    served: Served
    object: Obj
    before: Obj | None


class Store:
    """Thread-safe; ``changed`` wakes who waits for writes, and its lock makes several calls one."""

    def __init__(self, clock: Clock, seed: int, cluster: str = "") -> None:
        self.catalog = Catalog()
        self.names = Names(seed, cluster)
        self.version = 1000
        self.compacted = 0
        self.changed = threading.Condition(threading.RLock())
        self._clock = clock
        self.images = Images()
        self.due: datetime | None = None
        self._past: datetime | None = None
        self._objects: dict[tuple[str, str], dict[tuple[str, str], Obj]] = {}
        self._history: deque[Written] = deque()

    # time

    def now(self) -> datetime:
        return self._past or self._clock.now()

    @contextmanager
    def at(self, moment: datetime) -> Iterator[None]:
        """Writes made inside happened at ``moment``: how a scenario gets its past."""
        before, self._past = self._past, moment
        try:
            yield
        finally:
            self._past = before

    @property
    def forgotten(self) -> bool:
        """Whether what is written now happened too long ago to be among Events, which are kept for an hour (``--event-ttl``)."""
        return self._past is not None and self._clock.now() - self._past > timedelta(hours=1)

    def wake(self, moment: datetime) -> None:
        """Have the controllers look again at ``moment``, even if nothing is written until then."""
        self.due = moment if self.due is None else min(self.due, moment)

    # reads

    def get(self, served: Served, namespace: str, name: str) -> Obj | None:
        return self._objects.get(served.id, {}).get((namespace, name))

    def all(self, served: Served, namespace: str | None = None) -> list[Obj]:
        """Sorted by namespace and name, as the real server's storage keys are."""
        with self.changed:
            found = sorted(self._objects.get(served.id, {}).items())
        return [obj for (where, _), obj in found if namespace is None or where == namespace]

    def everything(self) -> list[tuple[Served, Obj]]:
        with self.changed:
            known = {served.id: served for versions in self.catalog.groups().values() for kinds in versions.values() for served in kinds}
            return [(known[key], obj) for key, objects in self._objects.items() for obj in objects.values()]

    def since(self, version: int) -> list[Written]:
        """All writes after ``version``, oldest first."""
        with self.changed:
            found: list[Written] = []
            for written in reversed(self._history):
                if written.version <= version:
                    break
                found.append(written)
            return found[::-1]

    # writes

    def insert(self, served: Served, obj: Obj, *, manager: str = CONTROLLERS, operation: str = "Update", dry_run: bool = False) -> Obj:
        """Store a new object. Raises Failure 409 where the name is taken."""
        with self.changed:
            meta = obj["metadata"]
            namespace, name = meta.get("namespace", ""), meta["name"]
            if self.get(served, namespace, name) is not None:
                raise exists(served, name)
            if served is PODS and len(self._objects.get(served.id, ())) >= MOST_PODS:
                raise forbidden(served, name, f"exceeded quota: rehearsal, requested: pods=1, used: pods={MOST_PODS}, limited: pods={MOST_PODS}")
            now = stamp(self.now())
            made = {**obj, "metadata": {**meta, "uid": self.names.uid(*served.id, namespace, name), "creationTimestamp": now}}
            if "spec" in obj and served.resource.kind not in _WITHOUT_GENERATION:
                made["metadata"]["generation"] = 1
            made = identify(made)
            made["metadata"]["managedFields"] = fields.record(None, made, manager=manager, time=now, operation=operation)
            if dry_run:
                return made
            return self._commit(served, made, None)

    def replace(self, served: Served, new: Obj, *, manager: str = CONTROLLERS, subresource: str = "", dry_run: bool = False,
                owned: bool = False) -> Obj:  # fmt: skip
        """Store the next state of an object; the stored one comes back unchanged where nothing differs.

        ``owned``: managedFields are in ``new`` already (server-side apply). Raises Failure 404.
        """
        with self.changed:
            meta = new["metadata"]
            old = self.get(served, meta.get("namespace", ""), meta["name"])
            if old is None:
                raise not_found(served, meta["name"])
            if not owned:
                meta = {**meta, "managedFields": old["metadata"].get("managedFields") or []}
            candidate: Obj = {**new, "metadata": {**meta, "resourceVersion": old["metadata"]["resourceVersion"]}}
            if candidate == old:
                return old
            if "generation" in old["metadata"] and _counts(old, candidate):
                candidate["metadata"]["generation"] = old["metadata"]["generation"] + 1
            if not owned:
                now = stamp(self.now())
                # a Scale of 0 has no field `replicas`, so that nobody owns it then
                unowned = ("f:spec", "f:replicas") if subresource == "scale" and not candidate["spec"].get("replicas") else ()
                candidate["metadata"]["managedFields"] = fields.record(
                    old, candidate, manager=manager, time=now, subresource=subresource, unowned=unowned
                )
            if dry_run:
                return candidate
            if self._finished(candidate):
                return self.remove(served, candidate)
            return self._commit(served, candidate, old)

    @staticmethod
    def _finished(obj: Obj) -> bool:
        """Whether the last finalizer of an object that waits for deletion is gone. A pod waits for its kubelet, too."""
        meta = obj["metadata"]
        held = meta.get("finalizers") or obj["kind"] == "Namespace"  # a namespace's finalizer is in its spec
        return "deletionTimestamp" in meta and not held and meta.get("deletionGracePeriodSeconds", 0) == 0

    def remove(self, served: Served, obj: Obj) -> Obj:
        """Take an object out of the store, whatever its finalizers."""
        with self.changed:
            meta = obj["metadata"]
            old = self.get(served, meta.get("namespace", ""), meta["name"])
            if old is None:
                raise not_found(served, meta["name"])
            del self._objects[served.id][meta.get("namespace", ""), meta["name"]]
            return self._tell("DELETED", served, obj, old)

    def mutate(self, served: Served, obj: Obj, patch: Obj, *, manager: str = CONTROLLERS, subresource: str = "") -> Obj:
        """Merge ``patch`` (RFC 7386) into the stored state of ``obj``. Raises Failure 404."""
        with self.changed:
            meta = obj["metadata"]
            old = self.get(served, meta.get("namespace", ""), meta["name"])
            if old is None:
                raise not_found(served, meta["name"])
            merged: Any = merge(old, patch)
            return self.replace(served, merged, manager=manager, subresource=subresource)

    def compact(self) -> None:
        """Forget the history: a watch from before now, or a list half read, must start again (410)."""
        with self.changed:
            self._history.clear()
            self.compacted = self.version
            self.changed.notify_all()

    def _commit(self, served: Served, obj: Obj, old: Obj | None) -> Obj:
        made = self._tell("ADDED" if old is None else "MODIFIED", served, obj, old)
        meta = made["metadata"]
        self._objects.setdefault(served.id, {})[meta.get("namespace", ""), meta["name"]] = made
        return made

    def _tell(self, type: Literal["ADDED", "MODIFIED", "DELETED"], served: Served, obj: Obj, old: Obj | None) -> Obj:
        self.version += 1
        told = _in_order({**obj, "metadata": _in_order({**obj["metadata"], "resourceVersion": str(self.version)}, _META_ORDER)}, _ORDER)
        self._history.append(Written(self.version, type, served, told, old))
        if len(self._history) > HISTORY:
            self.compacted = self._history.popleft().version
        self.changed.notify_all()
        return told

    # for scenarios and tests: by Resource, behind the API's back

    def add(self, obj: Obj, *, manager: str = "kubectl-client-side-apply") -> Obj:
        """Store an object as `kubectl apply` would, defaults included, unvalidated. Raises KeyError, Failure 409."""
        served = self.catalog.of(obj["apiVersion"], obj["kind"])
        if served is None:
            raise KeyError(f"{obj['apiVersion']} {obj['kind']} is not served")
        return self.insert(served, complete(obj), manager=manager)

    def find(self, resource: Resource, name: str, namespace: str = "") -> Obj | None:
        return self.get(self.catalog.of_resource(resource), namespace, name)

    def patch(self, resource: Resource, name: str, patch: Obj, namespace: str = "", *, manager: str = "kubectl") -> Obj:
        """Merge ``patch`` into an object. Raises Failure 404."""
        served = self.catalog.of_resource(resource)
        return self.mutate(served, {"metadata": {"name": name, "namespace": namespace}}, patch, manager=manager)

    def delete(self, resource: Resource, name: str, namespace: str = "") -> None:
        """Remove an object at once, whatever its grace and finalizers. Raises Failure 404."""
        served = self.catalog.of_resource(resource)
        self.remove(served, self.get(served, namespace, name) or {"metadata": {"name": name, "namespace": namespace}})


def _counts(old: Obj, new: Obj) -> bool:
    """Whether a write is a new generation: the wish changed (a pod's node is no wish), or the object shall end."""
    wishes = [{key: value for key, value in (obj.get("spec") or {}).items() if key != "nodeName"} for obj in (old, new)]
    return wishes[0] != wishes[1] or ("deletionTimestamp" in new["metadata"]) != ("deletionTimestamp" in old["metadata"])


def _in_order(fields: Obj, order: tuple[str, ...]) -> Obj:
    """The fields as the real server writes them, for people who read the JSON."""
    return {**{key: fields[key] for key in order if key in fields}, **fields}
