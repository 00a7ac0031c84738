"""ReplicaSets: as many pods as wanted, after pkg/controller/replicaset and `ActivePodsWithRanks` of pkg/controller."""

from __future__ import annotations

import math
from collections import Counter
from datetime import datetime

from irkit.model.kube import Obj, at, controller_of, is_ready
from irkit.sandbox.catalog import PODS, REPLICASETS
from irkit.sandbox.clock import parse
from irkit.sandbox.controllers import owners
from irkit.sandbox.defaults import complete
from irkit.sandbox.store import Store

_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}
_COST = "controller.kubernetes.io/pod-deletion-cost"


def reconcile(store: Store) -> None:
    pods = owners.by_controller(store)
    for replicaset in store.all(REPLICASETS):
        _reconcile(store, replicaset, pods)


def _reconcile(store: Store, replicaset: Obj, pods: dict[str, list[Obj]]) -> None:
    """``pods``: by their controllers, so that not every ReplicaSet looks at all of them."""
    live = [pod for pod in owners.candidates(store, replicaset, pods) if owners.active(pod)]
    mine = owners.claim(store, REPLICASETS, replicaset, PODS, live)
    if "deletionTimestamp" in replicaset["metadata"]:
        return
    wanted = at(replicaset, ("spec", "replicas"), 1)
    for _ in range(wanted - len(mine)):
        mine.append(_create(store, replicaset))
    if surplus := len(mine) - wanted:
        for pod in ranked(mine, _related(store, replicaset), store.now())[:surplus]:
            owners.delete_pod(store, pod)
            mine.remove(pod)
    _report(store, replicaset, mine)


def _create(store: Store, replicaset: Obj) -> Obj:
    meta = replicaset["metadata"]
    name = f"{meta['name']}-{store.names.suffix('pod', meta['namespace'], meta['name'])}"
    pod = owners.new_pod(REPLICASETS, replicaset, replicaset["spec"]["template"], name)
    pod["metadata"]["generateName"] = f"{meta['name']}-"
    return store.insert(PODS, complete(pod))


def _related(store: Store, replicaset: Obj) -> Counter[str]:
    """How many pods of this ReplicaSet's Deployment each node runs (getPodsRankedByRelatedPodsOnSameNode)."""
    owner = controller_of(replicaset)
    siblings = {replicaset["metadata"]["uid"]}
    if owner is not None:
        for other in store.all(REPLICASETS, replicaset["metadata"]["namespace"]):
            if (controller_of(other) or {}).get("uid") == owner["uid"]:
                siblings.add(other["metadata"]["uid"])
    live = [pod for pod in owners.pods_in(store, replicaset["metadata"]["namespace"]) if owners.active(pod)]
    return Counter(at(pod, ("spec", "nodeName"), "") for pod in live if (controller_of(pod) or {}).get("uid") in siblings)


def ranked(pods: list[Obj], on_node: Counter[str], now: datetime) -> list[Obj]:
    """``pods`` in the order in which a surplus is deleted: ActivePodsWithRanks.Less of pkg/controller/controller_utils.go.

    Unassigned first, then Pending before Running, not ready before ready, lower deletion cost, doubled up on a node,
    ready for a shorter time, more restarts, created later. The two times are compared by magnitude (powers of two), ties
    by uid.
    """

    def order(pod: Obj) -> tuple[object, ...]:
        status, ready = pod.get("status") or {}, is_ready(pod)
        since = next((c.get("lastTransitionTime") for c in status.get("conditions") or [] if c.get("type") == "Ready"), None)
        restarts = max((c.get("restartCount", 0) for c in status.get("containerStatuses") or []), default=0)
        node = at(pod, ("spec", "nodeName"), "")
        return (bool(node), _PHASES.get(status.get("phase", ""), 1), ready, _cost(pod), -on_node[node],
                _magnitude(since, now) if ready else 0, -restarts, _magnitude(pod["metadata"]["creationTimestamp"], now),
                pod["metadata"]["uid"])  # fmt: skip

    return sorted(pods, key=order)


def _cost(pod: Obj) -> int:
    try:
        return int((pod["metadata"].get("annotations") or {}).get(_COST, "0"))
    except ValueError:
        return 0


def _magnitude(since: str | None, now: datetime) -> int:
    """As logarithmicRankDiff: the whole binary logarithm of the nanoseconds since then."""
    passed = (now - parse(since)).total_seconds() if since else 0.0
    return int(math.log2(passed * 1e9)) if passed > 0 else -1


def _report(store: Store, replicaset: Obj, mine: list[Obj]) -> None:
    ready = sum(is_ready(pod) for pod in mine)
    counts = {"fullyLabeledReplicas": len(mine), "readyReplicas": ready, "availableReplicas": ready}
    status = {"replicas": len(mine), "observedGeneration": replicaset["metadata"].get("generation", 1)}
    owners.set_status(store, REPLICASETS, replicaset, {**status, **{key: count for key, count in counts.items() if count}})
