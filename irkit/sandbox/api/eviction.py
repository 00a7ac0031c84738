"""``pods/eviction``: delete a pod unless a PodDisruptionBudget forbids it (registry/core/pod/storage/eviction.go)."""

from __future__ import annotations

from irkit.model.kube import Obj, at, is_ready, labels_of, selects
from irkit.sandbox.api.call import Answer, Call
from irkit.sandbox.api.writes import check_preconditions
from irkit.sandbox.catalog import PDBS, PODS
from irkit.sandbox.clock import stamp
from irkit.sandbox.controllers import disruption, owners
from irkit.sandbox.failures import Failure, bad_request, not_found
from irkit.sandbox.store import Store

_REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
_SEVERAL = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."


def evict(store: Store, call: Call) -> Answer:
    """Raises Failure 400, 404, 409, 429, 500."""
    options = _options(call)
    dry_run = call.dry_run(options) or call.dry_run()
    with store.changed:
        pod = store.get(PODS, call.namespace, call.name)
        if pod is None:
            raise not_found(PODS, call.name)
        budgets = [] if _free(pod) else [b for b in store.all(PDBS, call.namespace) if selects(at(b, ("spec", "selector")), labels_of(pod))]
        if len(budgets) > 1:
            raise Failure(500, "", _SEVERAL)
        check_preconditions(PODS, call.name, pod, options.get("preconditions") or {})
        for budget in budgets:
            if is_ready(pod) or not _unhealthy_may_go(budget):
                _take(store, budget, pod, call.manager, dry_run=dry_run)
        if not dry_run:
            _delete(store, pod, options, call.manager)
    return Answer({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201)


def _options(call: Call) -> Obj:
    """The DeleteOptions of an Eviction. Raises Failure 400."""
    body = call.document()
    if not isinstance(body, dict) or body.get("apiVersion", "policy/v1") not in ("policy/v1", "policy/v1beta1"):
        raise bad_request("the object provided is unrecognized (must be of type Eviction)")
    if at(body, ("metadata", "name")) != call.name:
        raise bad_request("name in URL does not match name in Eviction object")
    return dict(body.get("deleteOptions") or {})


def _free(pod: Obj) -> bool:
    """Whether no budget counts: the pod does not work any more, or not yet."""
    return at(pod, ("status", "phase")) in ("Succeeded", "Failed", "Pending") or "deletionTimestamp" in pod["metadata"]


def _unhealthy_may_go(budget: Obj) -> bool:
    status = budget.get("status") or {}
    desired: int = status.get("desiredHealthy", 0)
    return bool(at(budget, ("spec", "unhealthyPodEvictionPolicy")) == "AlwaysAllow" or status.get("currentHealthy", 0) >= desired > 0)


def _take(store: Store, budget: Obj, pod: Obj, manager: str, *, dry_run: bool) -> None:
    """Use up one disruption of the budget. Raises Failure 429."""
    name, status = budget["metadata"]["name"], budget.get("status") or {}
    if status.get("observedGeneration", 0) < budget["metadata"]["generation"]:
        raise _refused(f"The disruption budget {name} is still being processed by the server.", 10)
    left = status.get("disruptionsAllowed", 0)
    if left < 1:
        raise _refused(_why(name, status))
    if dry_run:
        return
    disrupted = {**(status.get("disruptedPods") or {}), pod["metadata"]["name"]: stamp(store.now())}
    new = {**status, "disruptionsAllowed": left - 1, "disruptedPods": disrupted}
    if left == 1:
        new["conditions"] = [disruption.judged(store, status, 0)]
    store.mutate(PDBS, budget, {"status": new}, manager=manager, subresource="status")


def _why(name: str, status: Obj) -> str:
    healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    known: Obj = next(iter(status.get("conditions") or ()), {})
    if known.get("reason") == "SyncFailed" and known.get("message"):
        return f"The disruption budget {name} does not allow evicting pods currently because it failed sync: {known['message']}"
    if healthy <= desired:
        return f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
    return f"The disruption budget {name} does not allow evicting pods currently"


def _refused(why: str, retry: int = 0) -> Failure:
    later = {"retryAfterSeconds": retry} if retry else {}
    return Failure(429, "TooManyRequests", _REFUSED, {"causes": [{"reason": "DisruptionBudget", "message": why}], **later})


def _delete(store: Store, pod: Obj, options: Obj, manager: str) -> None:
    target = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting",
              "lastProbeTime": None, "lastTransitionTime": stamp(store.now())}  # fmt: skip
    kept = [c for c in at(pod, ("status", "conditions"), []) if c["type"] != "DisruptionTarget"]
    told = store.mutate(PODS, pod, {"status": {"conditions": [*kept, target]}}, manager=manager)
    asked = options.get("gracePeriodSeconds")
    grace = asked if isinstance(asked, int) else at(pod, ("spec", "terminationGracePeriodSeconds"), 30)
    owners.terminate(store, PODS, told, grace if at(pod, ("spec", "nodeName")) else 0, manager=manager)
