"""Who owns whom: adoption and release as `ControllerRefManager.claimObject` (pkg/controller/controller_ref_manager.go)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta

from irkit.model.kube import Obj, at, controller_of, labels_of, selects
from irkit.sandbox.catalog import PODS, Served
from irkit.sandbox.clock import stamp
from irkit.sandbox.store import Store


def owner_reference(served: Served, owner: Obj) -> Obj:
    return {"apiVersion": served.resource.api_version, "kind": served.resource.kind, "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}  # fmt: skip


def claim(store: Store, owner_kind: Served, owner: Obj, kind: Served, candidates: Iterable[Obj],
          eligible: Callable[[Obj], bool] = lambda obj: True) -> list[Obj]:  # fmt: skip
    """The objects that ``owner`` controls after it let go of those that no longer match and adopted orphans that do."""
    selector, dying = at(owner, ("spec", "selector")), "deletionTimestamp" in owner["metadata"]
    mine: list[Obj] = []
    for obj in candidates:
        controller = controller_of(obj)
        matches = selects(selector, labels_of(obj)) and eligible(obj)
        if controller is not None:
            if controller["uid"] != owner["metadata"]["uid"]:
                continue
            if matches:
                mine.append(obj)
            elif not dying:
                release(store, kind, obj, controller["uid"])
        elif matches and not dying and "deletionTimestamp" not in obj["metadata"]:
            references = [*(obj["metadata"].get("ownerReferences") or []), owner_reference(owner_kind, owner)]
            mine.append(store.mutate(kind, obj, {"metadata": {"ownerReferences": references}}))
    return mine


def release(store: Store, kind: Served, obj: Obj, uid: str) -> Obj:
    """Drop the ownerReference to ``uid``."""
    left = [o for o in obj["metadata"].get("ownerReferences") or [] if o["uid"] != uid]
    return store.mutate(kind, obj, {"metadata": {"ownerReferences": left or None}})


def active(pod: Obj) -> bool:
    """As `IsPodActive`: neither finished nor being deleted."""
    return at(pod, ("status", "phase")) not in ("Succeeded", "Failed") and "deletionTimestamp" not in pod["metadata"]


def pods_in(store: Store, namespace: str) -> list[Obj]:
    return store.all(PODS, namespace)


def by_controller(store: Store) -> dict[str, list[Obj]]:
    """All pods by the uid of their controller; those without one under the empty text."""
    found: dict[str, list[Obj]] = {}
    for pod in store.all(PODS):
        found.setdefault((controller_of(pod) or {}).get("uid", ""), []).append(pod)
    return found


def candidates(store: Store, owner: Obj, pods: dict[str, list[Obj]]) -> list[Obj]:
    """The pods that ``owner`` may claim: its own, and those that nobody has by now. ``pods`` is what `by_controller` gave."""
    meta = owner["metadata"]
    free = [
        store.get(PODS, meta["namespace"], pod["metadata"]["name"]) for pod in pods.get("", ()) if pod["metadata"]["namespace"] == meta["namespace"]
    ]
    return sorted([*pods.get(meta["uid"], ()), *(pod for pod in free if pod is not None)], key=lambda pod: str(pod["metadata"]["name"]))


def delete_pod(store: Store, pod: Obj) -> None:
    """Ask for the pod's graceful end, as a controller does; its kubelet removes it."""
    grace = at(pod, ("spec", "terminationGracePeriodSeconds"), 30)
    terminate(store, PODS, pod, grace if at(pod, ("spec", "nodeName")) else 0)


def terminate(store: Store, kind: Served, obj: Obj, grace: int = 0, *, manager: str = "kube-controller-manager") -> Obj:
    """Mark ``obj`` as being deleted; it goes at once where neither grace nor a finalizer holds it."""
    meta = obj["metadata"]
    if "deletionTimestamp" in meta and (meta.get("deletionGracePeriodSeconds", 0) <= grace or meta.get("finalizers")):
        return obj
    when = stamp(store.now() + timedelta(seconds=grace))
    return store.mutate(kind, obj, {"metadata": {"deletionTimestamp": when, "deletionGracePeriodSeconds": grace}}, manager=manager)


def new_pod(served: Served, owner: Obj, template: Obj, name: str, labels: dict[str, str] | None = None) -> Obj:
    """The pod that ``owner`` makes from ``template``; not stored yet."""
    given = template.get("metadata") or {}
    meta: Obj = {"name": name, "namespace": owner["metadata"]["namespace"],
                 "labels": {**(given.get("labels") or {}), **(labels or {})}, "ownerReferences": [owner_reference(served, owner)]}  # fmt: skip
    if given.get("annotations"):
        meta["annotations"] = given["annotations"]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}


def set_status(store: Store, served: Served, obj: Obj, status: Obj) -> Obj:
    """Write ``status`` as a whole, through the status subresource."""
    return store.replace(served, {**obj, "status": status}, subresource="status")
