"""StatefulSets: pods with ordinals, one after the other, after pkg/controller/statefulset.

A name that a detached pod holds stays taken: its ordinal gets no replacement, and with ``OrderedReady`` no higher one
either (kubernetes#78649).
"""

from __future__ import annotations

import re

from irkit.model.kube import PVCS, Obj, at, is_ready
from irkit.sandbox.catalog import PODS, STATEFULSETS
from irkit.sandbox.controllers import owners, revisions
from irkit.sandbox.defaults import complete
from irkit.sandbox.store import Store

_REVISION = "controller-revision-hash"


def reconcile(store: Store) -> None:
    for stateful in store.all(STATEFULSETS):
        if "deletionTimestamp" not in stateful["metadata"]:
            _reconcile(store, stateful)


def _ordinal(name: str, pod: Obj) -> int:
    found = re.fullmatch(rf"{re.escape(name)}-(\d+)", pod["metadata"]["name"])
    return int(found[1]) if found else -1


def _reconcile(store: Store, stateful: Obj) -> None:
    meta = stateful["metadata"]
    revision = revisions.remember(store, STATEFULSETS, stateful)
    mine = owners.claim(store, STATEFULSETS, stateful, PODS, owners.pods_in(store, meta["namespace"]), lambda p: _ordinal(meta["name"], p) >= 0)
    by_ordinal = {_ordinal(meta["name"], pod): pod for pod in mine}
    _step(store, stateful, by_ordinal, revision)
    _report(store, stateful, by_ordinal, revision)
    revisions.forget(store, stateful, {revision, *(at(pod, ("metadata", "labels", _REVISION), "") for pod in mine)})


def _step(store: Store, stateful: Obj, pods: dict[int, Obj], revision: str) -> None:
    """One move, or all at once with podManagementPolicy Parallel: create in order, else remove from the highest, else update."""
    wanted = at(stateful, ("spec", "replicas"), 1)
    one_by_one = at(stateful, ("spec", "podManagementPolicy")) != "Parallel"
    for ordinal in range(wanted):
        pod = pods.get(ordinal)
        if pod is None:
            created = _create(store, stateful, ordinal, revision)
            if created is not None:
                pods[ordinal] = created
            if one_by_one:
                return
        elif one_by_one and not (owners.active(pod) and is_ready(pod)):
            return
    for ordinal in sorted((n for n in pods if n >= wanted), reverse=True):
        if "deletionTimestamp" not in pods[ordinal]["metadata"]:
            owners.delete_pod(store, pods[ordinal])
        if one_by_one:
            return
    _update(store, stateful, pods, revision)


def _update(store: Store, stateful: Obj, pods: dict[int, Obj], revision: str) -> None:
    """Delete the highest pod of another revision, once all above it are ready."""
    if at(stateful, ("spec", "updateStrategy", "type"), "RollingUpdate") != "RollingUpdate":
        return
    for ordinal in sorted(pods, reverse=True):
        pod = pods[ordinal]
        if ordinal < at(stateful, ("spec", "updateStrategy", "rollingUpdate", "partition"), 0) or not owners.active(pod):
            return
        if at(pod, ("metadata", "labels", _REVISION)) != revision:
            owners.delete_pod(store, pod)
            return
        if not is_ready(pod):
            return


def _create(store: Store, stateful: Obj, ordinal: int, revision: str) -> Obj | None:
    meta, spec = stateful["metadata"], stateful["spec"]
    name = f"{meta['name']}-{ordinal}"
    if store.get(PODS, meta["namespace"], name) is not None:
        return None  # taken by a pod that is not ours
    labels = {_REVISION: revision, "statefulset.kubernetes.io/pod-name": name, "apps.kubernetes.io/pod-index": str(ordinal)}
    pod = owners.new_pod(STATEFULSETS, stateful, spec["template"], name, labels)
    pod["metadata"]["generateName"] = f"{meta['name']}-"
    pod["spec"] = {**pod["spec"], "hostname": name, **({"subdomain": spec["serviceName"]} if spec.get("serviceName") else {})}
    if claims := spec.get("volumeClaimTemplates"):
        pod["spec"]["volumes"] = [*(pod["spec"].get("volumes") or []), *(_claim(store, stateful, claim, name) for claim in claims)]
    return store.insert(PODS, complete(pod))


def _claim(store: Store, stateful: Obj, template: Obj, pod: str) -> Obj:
    """The volume of one claim template; the claim is made where it is not there, and stays when the pod goes."""
    name, served = f"{template['metadata']['name']}-{pod}", store.catalog.of_resource(PVCS)
    if store.get(served, stateful["metadata"]["namespace"], name) is None:
        store.insert(served, {
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {**template["metadata"], "name": name, "namespace": stateful["metadata"]["namespace"]},
            "spec": {**template["spec"], "volumeName": f"pvc-{name}"}, "status": {"phase": "Bound"}})  # fmt: skip
    return {"name": template["metadata"]["name"], "persistentVolumeClaim": {"claimName": name}}


def _report(store: Store, stateful: Obj, pods: dict[int, Obj], revision: str) -> None:
    ready = sum(is_ready(pod) for pod in pods.values())
    current = sum(at(pod, ("metadata", "labels", _REVISION)) == revision for pod in pods.values())
    status: Obj = {"observedGeneration": stateful["metadata"].get("generation", 1), "replicas": len(pods), "availableReplicas": ready,
                   "updateRevision": revision, "collisionCount": 0}  # fmt: skip
    status["currentRevision"] = revision if current == len(pods) else at(stateful, ("status", "currentRevision"), revision)
    counts = {"readyReplicas": ready, "currentReplicas": current, "updatedReplicas": current}
    owners.set_status(store, STATEFULSETS, stateful, {**status, **{key: count for key, count in counts.items() if count}})
