"""PodDisruptionBudgets and the eviction of pods, which is what `kubectl drain` does."""

from __future__ import annotations

from irkit.model import kube
from tests.contracts.client import Obj, Reply, until
from tests.contracts.conftest import Cluster

REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."


def budget(cluster: Cluster, name: str = "pdb", *, app: str = "web", **spec: object) -> None:
    body = {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": app}}, **spec}}
    cluster.admin.create(cluster.path(kube.PDBS), body)


def status(cluster: Cluster, **expected: int) -> Obj:
    """The status of the budget once it says so."""

    def look() -> Obj | None:
        found: Obj = cluster.admin.get(cluster.path(kube.PDBS, "pdb")).get("status") or {}
        return found if all(found.get(key) == value for key, value in {**expected, "observedGeneration": 1}.items()) else None

    return until(look, f"the budget says {expected}")


def bare(cluster: Cluster, *names: str) -> None:
    for name in names:
        cluster.pod(name, {"app": "web"}, nodeName=cluster.nodes[0])
    for name in names:
        cluster.running(name)


def evict(cluster: Cluster, pod: str, query: str = "", **options: object) -> Reply:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": cluster.namespace},
            **({"deleteOptions": options} if options else {})}  # fmt: skip
    return cluster.admin.send("POST", f"{cluster.path(kube.PODS, pod, 'eviction')}{query}", body)


def there(cluster: Cluster, pod: str) -> bool:
    return cluster.admin.send("GET", cluster.path(kube.PODS, pod)).status == 200


def test_a_budget_counts_the_pods_of_a_deployment(cluster: Cluster) -> None:
    cluster.workload(kube.DEPLOYMENTS, "web", 3)
    budget(cluster, maxUnavailable="34%")
    found = status(cluster, currentHealthy=3, desiredHealthy=1, expectedPods=3, disruptionsAllowed=2)
    (condition,) = found.pop("conditions")
    assert condition.pop("lastTransitionTime")
    assert condition == {"type": "DisruptionAllowed", "status": "True", "reason": "SufficientPods", "message": "", "observedGeneration": 1}
    assert set(found) == {"currentHealthy", "desiredHealthy", "expectedPods", "disruptionsAllowed", "observedGeneration"}


def test_a_minimum_of_all_allows_nothing(cluster: Cluster) -> None:
    cluster.workload(kube.STATEFULSETS, "web", 2, serviceName="web")
    budget(cluster, minAvailable="100%")
    found = status(cluster, currentHealthy=2, desiredHealthy=2, expectedPods=2, disruptionsAllowed=0)
    assert found["conditions"][0]["reason"] == "InsufficientPods"


def test_pods_without_a_controller_are_counted_by_number_only(cluster: Cluster) -> None:
    bare(cluster, "one", "two")
    budget(cluster, maxUnavailable=1)
    status(cluster, expectedPods=0, disruptionsAllowed=0, currentHealthy=2)
    cluster.admin.send("DELETE", cluster.path(kube.PDBS, "pdb")).ok()
    budget(cluster, minAvailable=1)
    status(cluster, expectedPods=2, disruptionsAllowed=1, currentHealthy=2)


def test_what_has_no_scale_can_not_be_counted(cluster: Cluster) -> None:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "img:1"}]}}
    body = {"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template}}
    cluster.admin.create(cluster.path(kube.DAEMONSETS), body)
    pods = cluster.settled("app=web", len(cluster.nodes))
    budget(cluster, maxUnavailable=1)

    def failed() -> str:
        conditions = cluster.admin.get(cluster.path(kube.PDBS, "pdb"))["status"].get("conditions") or [{}]
        return f"{conditions[0].get('reason')}: {conditions[0].get('message')}"

    until(lambda: failed() == "SyncFailed: daemonsets.apps does not implement the scale subresource", "the budget says why")
    assert evict(cluster, pods[0]["metadata"]["name"]).status == 429


def test_an_eviction_uses_the_budget_up(cluster: Cluster) -> None:
    bare(cluster, "one", "two")
    budget(cluster, minAvailable=1)
    status(cluster, disruptionsAllowed=1)
    reply = evict(cluster, "one")
    assert (reply.status, reply.json["kind"], reply.json["status"]) == (201, "Status", "Success")
    refused = evict(cluster, "two")
    assert (refused.status, refused.json["reason"], refused.json["message"]) == (429, "TooManyRequests", REFUSED)
    (cause,) = refused.json["details"]["causes"]
    assert cause["reason"] == "DisruptionBudget"
    until(lambda: not there(cluster, "one"), "the first is gone")
    status(cluster, currentHealthy=1, disruptionsAllowed=0, expectedPods=1)
    (cause,) = evict(cluster, "two").json["details"]["causes"]
    assert cause["message"] == "The disruption budget pdb needs 1 healthy pods and has 1 currently"
    assert there(cluster, "two")
    cluster.admin.send("DELETE", cluster.path(kube.PDBS, "pdb")).ok()
    assert evict(cluster, "two").status == 201
    until(lambda: not there(cluster, "two"), "the second is gone")


def test_a_dry_run_of_an_eviction(cluster: Cluster) -> None:
    bare(cluster, "one")
    budget(cluster, minAvailable=1)
    status(cluster, disruptionsAllowed=0)
    assert evict(cluster, "one", "?dryRun=All").status == 429
    cluster.admin.send("DELETE", cluster.path(kube.PDBS, "pdb")).ok()
    assert evict(cluster, "one", "?dryRun=All").status == 201
    assert evict(cluster, "one", dryRun=["All"]).status == 201
    assert "deletionTimestamp" not in cluster.admin.get(cluster.path(kube.PODS, "one"))["metadata"]


def test_two_budgets_are_one_too_many(cluster: Cluster) -> None:
    bare(cluster, "one")
    budget(cluster, minAvailable=0)
    budget(cluster, "other", minAvailable=0)
    reply = evict(cluster, "one")
    assert (reply.status, reply.json["code"]) == (500, 500)
    assert reply.json["message"] == "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
    assert there(cluster, "one")


def test_no_budget_keeps_a_pod_that_waits(cluster: Cluster) -> None:
    cluster.pod("one", {"app": "web"}, nodeSelector={"there-is": "none"})
    budget(cluster, minAvailable=1)
    status(cluster, disruptionsAllowed=0)
    assert evict(cluster, "one").status == 201
    until(lambda: not there(cluster, "one"), "it is gone")


def test_an_unhealthy_pod_may_go_where_the_budget_says_so(cluster: Cluster) -> None:
    bare(cluster, "one")
    waiting = [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}]
    cluster.admin.patch(cluster.path(kube.PODS, "one", "status"), {"status": {"conditions": waiting}})
    budget(cluster, minAvailable=1)
    status(cluster, currentHealthy=0, disruptionsAllowed=0)
    assert evict(cluster, "one").status == 429
    cluster.admin.patch(cluster.path(kube.PDBS, "pdb"), {"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}})
    assert evict(cluster, "one").status == 201


def test_evictions_that_can_not_be(cluster: Cluster) -> None:
    bare(cluster, "one")
    reply = evict(cluster, "nope")
    assert (reply.status, reply.json["message"]) == (404, 'pods "nope" not found')
    reply = cluster.admin.send("POST", cluster.path(kube.PODS, "one", "eviction"), {"metadata": {"name": "two"}})
    assert (reply.status, reply.json["message"]) == (400, "name in URL does not match name in Eviction object")
    reply = evict(cluster, "one", preconditions={"uid": "another"})
    assert (reply.status, reply.json["reason"]) == (409, "Conflict")
    assert "the UID in the precondition (another) does not match the UID in record" in reply.json["message"]
    assert "deletionTimestamp" not in cluster.admin.get(cluster.path(kube.PODS, "one"))["metadata"]


def test_a_budget_of_none_keeps_a_pod_that_nobody_controls(cluster: Cluster) -> None:
    """As irkit makes it for a pod that its controller has let go of: ready or not."""
    bare(cluster, "one")
    budget(cluster, maxUnavailable=0)
    status(cluster, expectedPods=0, desiredHealthy=0, disruptionsAllowed=0, currentHealthy=1)
    reply = evict(cluster, "one")
    assert (reply.status, reply.json["message"]) == (429, REFUSED)
    waiting = [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}]
    cluster.admin.patch(cluster.path(kube.PODS, "one", "status"), {"status": {"conditions": waiting}})
    status(cluster, currentHealthy=0, disruptionsAllowed=0)
    assert evict(cluster, "one").status == 429
    assert there(cluster, "one")
    cluster.admin.send("DELETE", cluster.path(kube.PODS, "one")).ok()  # a plain delete asks no budget
    until(lambda: not there(cluster, "one"), "it is gone")
