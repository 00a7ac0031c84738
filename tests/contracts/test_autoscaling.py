"""HorizontalPodAutoscalers: off at exactly 0 replicas, within their limits otherwise.

The real controller looks every 15 seconds, so that what it does with several is seen in one test.
"""

from __future__ import annotations

import pytest

from irkit.model import kube
from tests.contracts.client import Obj, until
from tests.contracts.conftest import Cluster


def autoscaler(cluster: Cluster, name: str, least: int, most: int, kind: str = "Deployment", version: str = "apps/v1") -> Obj:
    target = {"apiVersion": version, "kind": kind, "name": name}
    spec = {"minReplicas": least, "maxReplicas": most, "scaleTargetRef": target}
    return cluster.admin.create(cluster.path(kube.HPAS), {"metadata": {"name": name}, "spec": spec})


def conditions(cluster: Cluster, name: str) -> dict[str, tuple[str, str, str]]:
    found = cluster.admin.get(cluster.path(kube.HPAS, name)).get("status", {}).get("conditions") or []
    assert all(c["lastTransitionTime"] for c in found)
    return {c["type"]: (c["status"], c["reason"], c["message"]) for c in found}


def replicas(cluster: Cluster, name: str) -> int:
    return int(cluster.admin.get(cluster.path(kube.DEPLOYMENTS, name))["spec"]["replicas"])


def test_the_defaults_of_an_autoscaler(cluster: Cluster) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    made = cluster.admin.create(cluster.path(kube.HPAS), {"metadata": {"name": "web"}, "spec": {"maxReplicas": 3, "scaleTargetRef": target}})
    assert made["spec"]["minReplicas"] == 1
    assert made["spec"]["metrics"] == [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]


@pytest.mark.slow
def test_off_at_nothing_and_within_limits_otherwise(cluster: Cluster) -> None:
    for name, count in (("off", 0), ("few", 1), ("many", 4)):
        cluster.workload(kube.DEPLOYMENTS, name, count)
        autoscaler(cluster, name, 2, 3)
    autoscaler(cluster, "nowhere", 1, 2)
    autoscaler(cluster, "odd", 1, 2, kind="Oddity", version="odd.example/v1")
    until(lambda: replicas(cluster, "few") == 2, "raised to the minimum", seconds=40)
    until(lambda: replicas(cluster, "many") == 3, "cut to the maximum")
    gets = ("True", "SucceededGetScale", "the HPA controller was able to get the target's current scale")
    disabled = ("False", "ScalingDisabled", "scaling is disabled since the replica count of the target is zero")
    until(lambda: conditions(cluster, "off") == {"AbleToScale": gets, "ScalingActive": disabled}, "it says that it is off")
    assert replicas(cluster, "off") == 0
    status = cluster.admin.get(cluster.path(kube.HPAS, "off"))["status"]
    assert {key: status[key] for key in status if key != "conditions"} == {"desiredReplicas": 0, "currentMetrics": None}
    raised = ("True", "SucceededRescale", "the HPA controller was able to update the target scale to 2")
    until(lambda: conditions(cluster, "few") == {"AbleToScale": raised}, "it says what it did")
    status = cluster.admin.get(cluster.path(kube.HPAS, "few"))["status"]
    assert (status["currentReplicas"], status["desiredReplicas"], status["currentMetrics"]) == (1, 2, None)
    assert status["lastScaleTime"]
    failed = 'the HPA controller was unable to get the target\'s current scale: deployments.apps "nowhere" not found'
    until(lambda: conditions(cluster, "nowhere") == {"AbleToScale": ("False", "FailedGetScale", failed)}, "it says that there is nothing")
    failed = 'the HPA controller was unable to get the target\'s current scale: no matches for kind "Oddity" in group "odd.example"'
    until(lambda: conditions(cluster, "odd") == {"AbleToScale": ("False", "FailedGetScale", failed)}, "it says that there is no such kind")
    fields = f"{cluster.path(kube.EVENTS)}?fieldSelector=involvedObject.kind%3DHorizontalPodAutoscaler"
    said = lambda: {(e["involvedObject"]["name"], e["reason"], e["message"]) for e in cluster.admin.get(fields)["items"]}  # noqa: E731
    below, above = (f"Current number of replicas {which}" for which in ("below Spec.MinReplicas", "above Spec.MaxReplicas"))
    both = {("few", "SuccessfulRescale", f"New size: 2; reason: {below}"), ("many", "SuccessfulRescale", f"New size: 3; reason: {above}")}
    until(lambda: both <= said(), "events of both are there")
    meta = cluster.admin.get(cluster.path(kube.DEPLOYMENTS, "few"))["metadata"]
    writers = [(e["manager"], e.get("subresource")) for e in meta["managedFields"] if "f:replicas" in e["fieldsV1"].get("f:spec", {})]
    assert writers == [("kube-controller-manager", "scale")]
