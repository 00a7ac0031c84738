"""Jobs: pods with a finalizer until they are counted, after pkg/controller/job.

No pod ends by itself here; a test or a scenario says that one has succeeded by patching its status. Indexed completion,
pod failure policies and back-off delays are not there.
"""

from __future__ import annotations

from irkit.model.kube import Obj, at, controller_of, is_ready
from irkit.sandbox.catalog import JOBS, PODS
from irkit.sandbox.clock import stamp
from irkit.sandbox.controllers import owners
from irkit.sandbox.defaults import complete
from irkit.sandbox.store import Store

FINALIZER = "batch.kubernetes.io/job-tracking"


def reconcile(store: Store) -> None:
    for job in store.all(JOBS):
        if "deletionTimestamp" not in job["metadata"]:
            _reconcile(store, job)
    _let_orphans_go(store)


def _reconcile(store: Store, job: Obj) -> None:
    spec, status = job["spec"], job.get("status") or {}
    pods = owners.claim(store, JOBS, job, PODS, owners.pods_in(store, job["metadata"]["namespace"]))
    counted = {phase: [p for p in pods if at(p, ("status", "phase")) == phase] for phase in ("Succeeded", "Failed")}
    succeeded, failed = len(counted["Succeeded"]), len(counted["Failed"])
    active = [pod for pod in pods if owners.active(pod)]
    ended = _end(succeeded, failed, spec)
    for pod in pods:
        if pod not in active and (at(pod, ("status", "phase")) in counted or pod["metadata"].get("deletionGracePeriodSeconds") == 0):
            _untrack(store, pod)
    if ended or spec.get("suspend"):
        for pod in active:
            owners.delete_pod(store, pod)
        active = []
    else:
        wanted = min(spec["parallelism"], spec["completions"] - succeeded)
        while len(active) < wanted:
            active.append(_create(store, job))
    _report(store, job, status, active, succeeded, failed, ended)


def _end(succeeded: int, failed: int, spec: Obj) -> str:
    """``Complete``, ``Failed``, or nothing yet."""
    if succeeded >= spec["completions"]:
        return "Complete"
    return "Failed" if failed > spec["backoffLimit"] else ""


def _create(store: Store, job: Obj) -> Obj:
    meta = job["metadata"]
    pod = owners.new_pod(JOBS, job, job["spec"]["template"], f"{meta['name']}-{store.names.suffix('pod', meta['namespace'], meta['name'])}")
    pod["metadata"] |= {"generateName": f"{meta['name']}-", "finalizers": [FINALIZER]}
    return store.insert(PODS, complete(pod))


def _untrack(store: Store, pod: Obj) -> None:
    left = [f for f in pod["metadata"].get("finalizers") or () if f != FINALIZER]
    if len(left) < len(pod["metadata"].get("finalizers") or ()):
        store.mutate(PODS, pod, {"metadata": {"finalizers": left or None}})


def _let_orphans_go(store: Store) -> None:
    """A pod that no living Job owns any more is not tracked either."""
    alive = {job["metadata"]["uid"] for job in store.all(JOBS)}
    for pod in store.all(PODS):
        if FINALIZER in (pod["metadata"].get("finalizers") or ()) and (controller_of(pod) or {}).get("uid") not in alive:
            _untrack(store, pod)


def _report(store: Store, job: Obj, status: Obj, active: list[Obj], succeeded: int, failed: int, ended: str) -> None:
    now, suspended = stamp(store.now()), bool(job["spec"].get("suspend"))
    counts = {"active": len(active), "succeeded": succeeded, "failed": failed}
    new: Obj = {**{key: count for key, count in counts.items() if count}, "ready": sum(is_ready(pod) for pod in active), "terminating": 0,
                "uncountedTerminatedPods": {}}  # fmt: skip
    if not suspended or status.get("startTime"):
        new["startTime"] = status.get("startTime") or now
    known = {c["type"]: c for c in status.get("conditions") or ()}
    for kind, holds in (("Suspended", suspended), ("Complete", ended == "Complete"), ("Failed", ended == "Failed")):
        if holds != (at(known, (kind, "status")) == "True") and (holds or kind in known):
            reason = f"Job{'Suspended' if holds else 'Resumed'}" if kind == "Suspended" else kind
            known[kind] = {"type": kind, "status": str(holds), "reason": reason, "lastProbeTime": now, "lastTransitionTime": now}
    if known:
        new["conditions"] = list(known.values())
    if ended == "Complete":
        new["completionTime"] = status.get("completionTime") or now
    owners.set_status(store, JOBS, job, new)
