"""PodDisruptionBudgets: how many pods may be evicted now, after pkg/controller/disruption. `api/eviction.py` asks."""

from __future__ import annotations

import math
from datetime import timedelta

from irkit.model.kube import Obj, at, controller_of, is_ready, labels_of, selects
from irkit.sandbox.catalog import DEPLOYMENTS, PDBS, REPLICASETS, STATEFULSETS
from irkit.sandbox.clock import parse, stamp
from irkit.sandbox.controllers import events, owners
from irkit.sandbox.store import Store

DELETION = timedelta(minutes=2)
"""So long an evicted pod counts as gone while it is still there (DeletionTimeout)."""
_COMPONENT = "controllermanager"


class _Unknown(ValueError):
    """Why the number of pods that there should be is not known."""


def reconcile(store: Store) -> None:
    for budget in store.all(PDBS):
        if "deletionTimestamp" not in budget["metadata"]:
            _reconcile(store, budget)


def _reconcile(store: Store, budget: Obj) -> None:
    meta, status = budget["metadata"], budget.get("status") or {}
    pods = [pod for pod in owners.pods_in(store, meta["namespace"]) if selects(at(budget, ("spec", "selector")), labels_of(pod))]
    if not pods:
        events.once(store, PDBS, budget, "Normal", "NoPods", "No matching pods found", _COMPONENT)
    try:
        expected, desired = _expected(store, budget, pods)
    except _Unknown as why:
        failed = condition(store, status, allowed=False, reason="SyncFailed", message=str(why))
        owners.set_status(store, PDBS, budget, {"currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0, **status, "disruptionsAllowed": 0,
                                                "conditions": [failed]})  # fmt: skip
        return
    disrupted = _disrupted(store, status, pods)
    healthy = sum(is_ready(pod) for pod in pods if "deletionTimestamp" not in pod["metadata"] and pod["metadata"]["name"] not in disrupted)
    allowed = max(0, healthy - desired) if expected > 0 else 0
    new = {"observedGeneration": meta["generation"], "disruptionsAllowed": allowed, "currentHealthy": healthy, "desiredHealthy": desired,
           "expectedPods": expected, "conditions": [judged(store, {**status, "observedGeneration": meta["generation"]}, allowed)]}  # fmt: skip
    if disrupted:
        new["disruptedPods"] = disrupted
    owners.set_status(store, PDBS, budget, new)


def judged(store: Store, status: Obj, allowed: int) -> Obj:
    """The condition that goes with this number (UpdateDisruptionAllowedCondition)."""
    return condition(store, status, allowed=allowed > 0, reason="SufficientPods" if allowed > 0 else "InsufficientPods")


def condition(store: Store, status: Obj, *, allowed: bool, reason: str, message: str = "") -> Obj:
    known = next(iter(status.get("conditions") or ()), None)
    moved = known["lastTransitionTime"] if known is not None and known["status"] == str(allowed) else stamp(store.now())
    observed = {"observedGeneration": status["observedGeneration"]} if status.get("observedGeneration") else {}
    return {"type": "DisruptionAllowed", "status": str(allowed), **observed, "lastTransitionTime": moved, "reason": reason, "message": message}


def _expected(store: Store, budget: Obj, pods: list[Obj]) -> tuple[int, int]:
    """How many pods there should be, and how many of them healthy. Raises _Unknown."""
    most, least = at(budget, ("spec", "maxUnavailable")), at(budget, ("spec", "minAvailable"))
    if most is not None:
        wanted = _wanted(store, pods)
        return wanted, max(0, wanted - _share(most, wanted))
    if isinstance(least, int):
        return len(pods), least
    if least is None:
        return 0, 0
    wanted = _wanted(store, pods)
    return wanted, _share(least, wanted)


def _share(value: int | str, whole: int) -> int:
    """A number, or a percentage of ``whole``, rounded up (GetScaledValueFromIntOrPercent)."""
    if isinstance(value, int):
        return value
    if not value.removesuffix("%").isdecimal() or not value.endswith("%"):
        raise _Unknown("invalid value for IntOrString: invalid type: string is not a percentage")
    return math.ceil(int(value[:-1]) * whole / 100)


def _wanted(store: Store, pods: list[Obj]) -> int:
    """The sum of the scales of the pods' controllers; pods without one don't count."""
    scales: dict[str, int] = {}
    for pod in pods:
        owner = controller_of(pod)
        if owner is not None:
            scaled = _scaled(store, pod, owner)
            scales[scaled["metadata"]["uid"]] = at(scaled, ("spec", "replicas"), 1)
    return sum(scales.values())


def _scaled(store: Store, pod: Obj, owner: Obj) -> Obj:
    """What says how many pods of this kind there are: the ReplicaSet's Deployment where there is one."""
    namespace = pod["metadata"]["namespace"]
    served = store.catalog.of(owner["apiVersion"], owner["kind"])
    if served is not None and "scale" not in served.subresources:
        raise _Unknown(f"{served.qualified} does not implement the scale subresource")
    found = store.get(served, namespace, owner["name"]) if served in (REPLICASETS, STATEFULSETS) else None
    if served is None or found is None or found["metadata"]["uid"] != owner["uid"]:
        raise _Unknown(f'found no controllers for pod "{pod["metadata"]["name"]}"')
    above = controller_of(found)
    deployment = store.get(DEPLOYMENTS, namespace, above["name"]) if above is not None and above["kind"] == "Deployment" else None
    return deployment if deployment is not None and above is not None and deployment["metadata"]["uid"] == above["uid"] else found


def _disrupted(store: Store, status: Obj, pods: list[Obj]) -> dict[str, str]:
    """The pods that were evicted a moment ago and are not being deleted yet."""
    found: dict[str, str] = {}
    for pod in pods:
        name = pod["metadata"]["name"]
        since = (status.get("disruptedPods") or {}).get(name)
        if since is not None and "deletionTimestamp" not in pod["metadata"] and parse(since) + DELETION >= store.now():
            found[name] = since
            store.wake(parse(since) + DELETION + timedelta(seconds=1))
    return found
