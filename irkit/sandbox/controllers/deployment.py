"""Deployments: one ReplicaSet a pod template, after pkg/controller/deployment.

A rollout is simpler than the real one: the new ReplicaSet comes up whole, then the old ones go down (``Recreate``: the
other way round). maxSurge, maxUnavailable, minReadySeconds and progressDeadlineSeconds are not looked at.
"""

from __future__ import annotations

from irkit.model.kube import Obj, at
from irkit.sandbox.catalog import DEPLOYMENTS, REPLICASETS
from irkit.sandbox.clock import stamp
from irkit.sandbox.controllers import owners
from irkit.sandbox.names import template_hash
from irkit.sandbox.store import Store

_HASH = "pod-template-hash"
_REVISION = "deployment.kubernetes.io/revision"


def reconcile(store: Store) -> None:
    for deployment in store.all(DEPLOYMENTS):
        if "deletionTimestamp" not in deployment["metadata"]:
            _reconcile(store, deployment)


def _reconcile(store: Store, deployment: Obj) -> None:
    sets = owners.claim(store, DEPLOYMENTS, deployment, REPLICASETS, store.all(REPLICASETS, deployment["metadata"]["namespace"]))
    hashed = template_hash(deployment["spec"]["template"])
    new = next((rs for rs in sets if at(rs, ("metadata", "labels", _HASH)) == hashed), None)
    old = [rs for rs in sets if rs is not new]
    wanted, paused = at(deployment, ("spec", "replicas"), 1), at(deployment, ("spec", "paused"), False)
    if paused:
        for rs in sets:
            if at(rs, ("spec", "replicas"), 0):
                _scale(store, rs, wanted)
    elif not (_recreates(deployment) and any(at(rs, ("status", "replicas"), 0) for rs in old)):
        new = _scale(store, new or _create(store, deployment, hashed, sets), wanted)
        deployment = _revise(store, deployment, new)
    if not paused:
        _retire(store, deployment, new, old, wanted)
    _report(store, deployment, hashed)


def _recreates(deployment: Obj) -> bool:
    return bool(at(deployment, ("spec", "strategy", "type")) == "Recreate")


def _create(store: Store, deployment: Obj, hashed: str, sets: list[Obj]) -> Obj:
    meta, spec = deployment["metadata"], deployment["spec"]
    template = spec["template"]
    labels = {**at(template, ("metadata", "labels"), {}), _HASH: hashed}
    selector = {**spec["selector"], "matchLabels": {**(spec["selector"].get("matchLabels") or {}), _HASH: hashed}}
    revision = max((int(at(rs, ("metadata", "annotations", _REVISION), "0")) for rs in sets), default=0) + 1
    return store.insert(REPLICASETS, {
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": f"{meta['name']}-{hashed}", "namespace": meta["namespace"], "labels": labels,
                     "annotations": {_REVISION: str(revision)}, "ownerReferences": [owners.owner_reference(DEPLOYMENTS, deployment)]},
        "spec": {"replicas": 0, "selector": selector, "template": {**template, "metadata": {**template["metadata"], "labels": labels}}},
        "status": {"replicas": 0},
    })  # fmt: skip


def _scale(store: Store, replicaset: Obj, replicas: int) -> Obj:
    annotations = {"deployment.kubernetes.io/desired-replicas": str(replicas)}
    return store.mutate(REPLICASETS, replicaset, {"metadata": {"annotations": annotations}, "spec": {"replicas": replicas}})


def _revise(store: Store, deployment: Obj, new: Obj) -> Obj:
    revision = at(new, ("metadata", "annotations", _REVISION), "1")
    return store.mutate(DEPLOYMENTS, deployment, {"metadata": {"annotations": {_REVISION: revision}}})


def _retire(store: Store, deployment: Obj, new: Obj | None, old: list[Obj], wanted: int) -> None:
    """Scale old ReplicaSets down once the new one stands, and forget those beyond revisionHistoryLimit."""
    stands = new is not None and at(new, ("status", "readyReplicas"), 0) >= wanted
    for rs in old:
        if at(rs, ("spec", "replicas"), 0) and (stands or _recreates(deployment)):
            _scale(store, rs, 0)
    idle = [rs for rs in old if not at(rs, ("spec", "replicas"), 0) and not at(rs, ("status", "replicas"), 0)]
    idle.sort(key=lambda rs: int(at(rs, ("metadata", "annotations", _REVISION), "0")))
    for rs in idle[: max(0, len(idle) - at(deployment, ("spec", "revisionHistoryLimit"), 10))]:
        store.remove(REPLICASETS, rs)


def _report(store: Store, deployment: Obj, hashed: str) -> None:
    meta = deployment["metadata"]
    sets = [rs for rs in store.all(REPLICASETS, meta["namespace"]) if _is_of(rs, meta["uid"])]
    total, ready = (sum(at(rs, ("status", key), 0) for rs in sets) for key in ("replicas", "readyReplicas"))
    updated = sum(at(rs, ("status", "replicas"), 0) for rs in sets if at(rs, ("metadata", "labels", _HASH)) == hashed)
    wanted = at(deployment, ("spec", "replicas"), 1)
    counts = {"replicas": total, "updatedReplicas": updated, "readyReplicas": ready, "availableReplicas": ready,
              "unavailableReplicas": max(0, wanted - ready)}  # fmt: skip
    status: Obj = {"observedGeneration": meta.get("generation", 1), **{key: count for key, count in counts.items() if count}}
    available = ("True", "MinimumReplicasAvailable") if ready >= wanted - wanted // 4 else ("False", "MinimumReplicasUnavailable")
    progress = ("True", "NewReplicaSetAvailable" if updated == ready == wanted else "ReplicaSetUpdated")
    known = {c["type"]: c for c in at(deployment, ("status", "conditions"), [])}
    status["conditions"] = [_condition(store, known.get(kind), kind, *state) for kind, state in (("Available", available), ("Progressing", progress))]
    owners.set_status(store, DEPLOYMENTS, deployment, status)


def _condition(store: Store, known: Obj | None, kind: str, value: str, reason: str) -> Obj:
    if known and (known["status"], known["reason"]) == (value, reason):
        return known
    now = stamp(store.now())
    moved = known["lastTransitionTime"] if known and known["status"] == value else now
    return {"type": kind, "status": value, "reason": reason, "message": "", "lastUpdateTime": now, "lastTransitionTime": moved}


def _is_of(replicaset: Obj, uid: str) -> bool:
    return any(o.get("controller") and o["uid"] == uid for o in replicaset["metadata"].get("ownerReferences") or [])
