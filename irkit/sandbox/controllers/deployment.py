"""Deployments: one ReplicaSet a pod template, after pkg/controller/deployment. minReadySeconds is not looked at."""

from __future__ import annotations

from datetime import timedelta

from irkit.model.kube import Obj, annotations_of, at, controller_of
from irkit.sandbox.catalog import DEPLOYMENTS, REPLICASETS
from irkit.sandbox.clock import parse, stamp
from irkit.sandbox.controllers import events, owners, rolling
from irkit.sandbox.controllers.rolling import Bounds
from irkit.sandbox.names import template_hash
from irkit.sandbox.store import Store

_HASH = "pod-template-hash"
_REVISION, _HISTORY = "deployment.kubernetes.io/revision", "deployment.kubernetes.io/revision-history"
_DESIRED, _LIMIT = "deployment.kubernetes.io/desired-replicas", "deployment.kubernetes.io/max-replicas"
_OWN = {_REVISION, _HISTORY, _DESIRED, _LIMIT, "deprecated.deployment.rollback.to", "kubectl.kubernetes.io/last-applied-configuration"}
_CONTROLLER = "deployment-controller"
_MESSAGES = {"NewReplicaSetCreated": 'Created new replica set "{}"', "ReplicaSetUpdated": 'ReplicaSet "{}" is progressing.',
             "NewReplicaSetAvailable": 'ReplicaSet "{}" has successfully progressed.',
             "ProgressDeadlineExceeded": 'ReplicaSet "{}" has timed out progressing.'}  # fmt: skip


def reconcile(store: Store) -> None:
    for deployment in store.all(DEPLOYMENTS):
        if "deletionTimestamp" not in deployment["metadata"]:
            _reconcile(store, deployment)


def _reconcile(store: Store, deployment: Obj) -> None:
    sets = owners.claim(store, DEPLOYMENTS, deployment, REPLICASETS, store.all(REPLICASETS, deployment["metadata"]["namespace"]))
    hashed, limits = template_hash(deployment["spec"]["template"]), rolling.bounds(deployment)
    new = next((rs for rs in sets if at(rs, ("metadata", "labels", _HASH)) == hashed), None)
    old = sorted((rs for rs in sets if rs is not new), key=lambda rs: (rs["metadata"]["creationTimestamp"], _revision(rs)))
    if at(deployment, ("spec", "paused"), False):
        _resize(store, deployment, limits, new, old)
    elif at(deployment, ("spec", "strategy", "type")) == "Recreate":
        new = _recreate(store, deployment, limits, new, old, hashed)
    else:
        new = _roll(store, deployment, limits, new, old, hashed)
    current = store.get(DEPLOYMENTS, deployment["metadata"]["namespace"], deployment["metadata"]["name"]) or deployment
    _report(store, current, limits, hashed)
    if not at(deployment, ("spec", "paused"), False):
        _forget(store, deployment, old)


def _roll(store: Store, deployment: Obj, limits: Bounds, new: Obj | None, old: list[Obj], hashed: str) -> Obj:
    """One move of a rolling update: the new one up as far as it may, else the old ones down."""
    new = _newest(store, deployment, limits, new, old, hashed)
    wanted = rolling.size_of_new(limits, new, old)
    if wanted != rolling.size(new):
        return _scale(store, deployment, limits, new, wanted)
    for rs, left in zip(old, rolling.sizes_of_old(limits, new, old), strict=True):
        if left != rolling.size(rs):
            _scale(store, deployment, limits, rs, left)
    return _scale(store, deployment, limits, new, wanted)


def _recreate(store: Store, deployment: Obj, limits: Bounds, new: Obj | None, old: list[Obj], hashed: str) -> Obj | None:
    for rs in old:
        if rolling.size(rs):
            _scale(store, deployment, limits, rs, 0)
    if any(at(rs, ("status", "replicas"), 0) or rolling.size(rs) for rs in old):
        return new
    return _scale(store, deployment, limits, _newest(store, deployment, limits, new, old, hashed), limits.wanted)


def _resize(store: Store, deployment: Obj, limits: Bounds, new: Obj | None, old: list[Obj]) -> None:
    """A paused Deployment still has as many pods as wanted: all in the newest ReplicaSet that has any."""
    living = [rs for rs in (*old, *([new] if new else [])) if rolling.size(rs)] or [rs for rs in (new,) if rs is not None]
    if living:
        others = sum(rolling.size(rs) for rs in living[:-1])
        _scale(store, deployment, limits, living[-1], max(0, limits.wanted - others))


def _revision(replicaset: Obj) -> int:
    text = annotations_of(replicaset).get(_REVISION, "0")
    return int(text) if text.isdecimal() else 0


def _newest(store: Store, deployment: Obj, limits: Bounds, new: Obj | None, old: list[Obj], hashed: str) -> Obj:
    """The ReplicaSet of the template, with the highest revision: a template that comes back gets a new number."""
    revision = max((_revision(rs) for rs in old), default=0) + 1
    if new is None:
        new = _create(store, deployment, limits, hashed, revision)
        _progress(store, deployment, "NewReplicaSetCreated", new["metadata"]["name"])
    elif _revision(new) < revision:
        history = [text for text in (annotations_of(new).get(_HISTORY), annotations_of(new).get(_REVISION)) if text]
        new = store.mutate(REPLICASETS, new, {"metadata": {"annotations": {_REVISION: str(revision), _HISTORY: ",".join(history)}}})
    store.mutate(DEPLOYMENTS, deployment, {"metadata": {"annotations": {_REVISION: str(_revision(new))}}})
    return new


def _create(store: Store, deployment: Obj, limits: Bounds, hashed: str, revision: int) -> Obj:
    meta, spec = deployment["metadata"], deployment["spec"]
    template = spec["template"]
    labels = {**at(template, ("metadata", "labels"), {}), _HASH: hashed}
    selector = {**spec["selector"], "matchLabels": {**(spec["selector"].get("matchLabels") or {}), _HASH: hashed}}
    copied = {key: value for key, value in annotations_of(deployment).items() if key not in _OWN}
    annotations = {**copied, _DESIRED: str(limits.wanted), _LIMIT: str(limits.wanted + limits.surge), _REVISION: str(revision)}
    return store.insert(REPLICASETS, {
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": f"{meta['name']}-{hashed}", "namespace": meta["namespace"], "labels": labels, "annotations": annotations,
                     "ownerReferences": [owners.owner_reference(DEPLOYMENTS, deployment)]},
        "spec": {"replicas": 0, "selector": selector, "template": {**template, "metadata": {**template["metadata"], "labels": labels}}},
        "status": {"replicas": 0},
    })  # fmt: skip


def _scale(store: Store, deployment: Obj, limits: Bounds, replicaset: Obj, replicas: int) -> Obj:
    before, name = rolling.size(replicaset), replicaset["metadata"]["name"]
    annotations = {_DESIRED: str(limits.wanted), _LIMIT: str(limits.wanted + limits.surge)}
    done = store.mutate(REPLICASETS, replicaset, {"metadata": {"annotations": annotations}, "spec": {"replicas": replicas}})
    if before != replicas:
        way = "up" if replicas > before else "down"
        message = f"Scaled {way} replica set {name} from {before} to {replicas}"
        events.note(store, DEPLOYMENTS, deployment, "Normal", "ScalingReplicaSet", message, _CONTROLLER)
    return done


def _forget(store: Store, deployment: Obj, old: list[Obj]) -> None:
    """Those beyond ``revisionHistoryLimit``, oldest revision first."""
    idle = [rs for rs in old if not rolling.size(rs) and not at(rs, ("status", "replicas"), 0)]
    for rs in sorted(idle, key=_revision)[: max(0, len(idle) - at(deployment, ("spec", "revisionHistoryLimit"), 10))]:
        if store.get(REPLICASETS, rs["metadata"]["namespace"], rs["metadata"]["name"]) is not None:
            store.remove(REPLICASETS, rs)


# status


def _report(store: Store, deployment: Obj, limits: Bounds, hashed: str) -> None:
    meta = deployment["metadata"]
    sets = [rs for rs in store.all(REPLICASETS, meta["namespace"]) if (controller_of(rs) or {}).get("uid") == meta["uid"]]
    new = next((rs for rs in sets if at(rs, ("metadata", "labels", _HASH)) == hashed), None)
    total, ready, usable = (sum(at(rs, ("status", key), 0) for rs in sets) for key in ("replicas", "readyReplicas", "availableReplicas"))
    updated = at(new or {}, ("status", "replicas"), 0)
    counts = {"replicas": total, "updatedReplicas": updated, "readyReplicas": ready, "availableReplicas": usable,
              "unavailableReplicas": max(0, sum(map(rolling.size, sets)) - usable)}  # fmt: skip
    status: Obj = {"observedGeneration": meta.get("generation", 1), **{key: count for key, count in counts.items() if count}}
    if usable >= limits.least:
        available = _condition(store, deployment, "Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        why = "Deployment does not have minimum availability."
        available = _condition(store, deployment, "Available", "False", "MinimumReplicasUnavailable", why)
    complete = updated == total == usable == limits.wanted
    progressing = _progressing(store, deployment, counts, new, complete=complete)
    status["conditions"] = [available, *([progressing] if progressing else [])]
    owners.set_status(store, DEPLOYMENTS, deployment, status)


def _known(deployment: Obj, kind: str) -> Obj | None:
    return next((c for c in at(deployment, ("status", "conditions"), []) if c["type"] == kind), None)


def _progressing(store: Store, deployment: Obj, counts: dict[str, int], new: Obj | None, *, complete: bool) -> Obj | None:
    """syncRolloutStatus of progress.go."""
    known, name = _known(deployment, "Progressing"), (new or {"metadata": {"name": ""}})["metadata"]["name"]
    if complete:
        done = _MESSAGES["NewReplicaSetAvailable"].format(name)
        return _condition(store, deployment, "Progressing", "True", "NewReplicaSetAvailable", done)
    if at(deployment, ("spec", "paused"), False):
        return known
    if known is not None and known["reason"] == "NewReplicaSetAvailable" and counts["replicas"] == counts["updatedReplicas"]:
        return known  # a rollout that was done stays so, whatever becomes of its pods
    if _moved(deployment.get("status") or {}, counts):
        said = _MESSAGES["ReplicaSetUpdated"].format(name)
        return {**_condition(store, deployment, "Progressing", "True", "ReplicaSetUpdated", said), "lastUpdateTime": stamp(store.now())}
    if known is None or known["reason"] in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded"):
        return known
    deadline = parse(known["lastUpdateTime"]) + timedelta(seconds=at(deployment, ("spec", "progressDeadlineSeconds"), 600))
    if store.now() <= deadline:
        store.wake(deadline + timedelta(seconds=1))
        return known
    return _condition(store, deployment, "Progressing", "False", "ProgressDeadlineExceeded", _MESSAGES["ProgressDeadlineExceeded"].format(name))


def _moved(before: Obj, now: dict[str, int]) -> bool:
    """DeploymentProgressing: more new pods, fewer old ones, or more that are ready or available."""
    was = {key: before.get(key, 0) for key in now}
    grown = any(now[key] > was[key] for key in ("updatedReplicas", "readyReplicas", "availableReplicas"))
    return grown or now["replicas"] - now["updatedReplicas"] < was["replicas"] - was["updatedReplicas"]


def _progress(store: Store, deployment: Obj, reason: str, name: str) -> None:
    """Note in the condition that a rollout begins."""
    begun = {**_condition(store, deployment, "Progressing", "True", reason, _MESSAGES[reason].format(name)), "lastUpdateTime": stamp(store.now())}
    others = [c for c in at(deployment, ("status", "conditions"), []) if c["type"] != "Progressing"]
    store.mutate(DEPLOYMENTS, deployment, {"status": {"conditions": [*others, begun]}}, subresource="status")


def _condition(store: Store, deployment: Obj, kind: str, value: str, reason: str, message: str) -> Obj:
    known = _known(deployment, kind)
    if known is not None and (known["status"], known["reason"], known["message"]) == (value, reason, message):
        return known
    now = stamp(store.now())
    moved = known["lastTransitionTime"] if known is not None and known["status"] == value else now
    return {"type": kind, "status": value, "reason": reason, "message": message, "lastUpdateTime": now, "lastTransitionTime": moved}
