"""A changed pod template: how pods are replaced, what is told of it, what happens when the new ones never get ready, and the way back."""

from __future__ import annotations

from typing import Any

import pytest

from irkit.model import kube
from tests.contracts.client import Obj, until
from tests.contracts.conftest import Cluster

NOWHERE = {"no": "such-node"}
REVISION = "deployment.kubernetes.io/revision"


def workload(cluster: Cluster, resource: kube.Resource, replicas: int | None = 3, image: str = "img:1", **spec: Any) -> str:
    """The path of ``web``, once all its pods are ready."""
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    counted = {} if replicas is None else {"replicas": replicas}
    body = {"metadata": {"name": "web"}, "spec": {**counted, "selector": {"matchLabels": {"app": "web"}}, "template": template, **spec}}
    cluster.admin.create(cluster.path(resource), body)
    cluster.settled("app=web", len(cluster.nodes) if replicas is None else replicas)
    return cluster.path(resource, "web")


def change(cluster: Cluster, path: str, image: str = "img:2", node: dict[str, str] | None = None) -> None:
    spec: Obj = {"containers": [{"name": "c", "image": image}], "nodeSelector": node}
    cluster.admin.patch(path, {"spec": {"template": {"spec": spec}}})


def condition(cluster: Cluster, path: str, kind: str = "Progressing") -> Obj:
    found: list[Obj] = cluster.admin.get(path)["status"].get("conditions", [])
    return next((c for c in found if c["type"] == kind), {"reason": ""})


def reason(cluster: Cluster, path: str, wanted: str, seconds: float = 15) -> Obj:
    def look() -> Obj | None:
        found = condition(cluster, path)
        return found if found["reason"] == wanted else None

    return until(look, wanted, seconds)


def images(cluster: Cluster) -> set[str]:
    """What pods run, or shall run."""
    return {pod["spec"]["containers"][0]["image"] for pod in cluster.pods("app=web")}


def sets(cluster: Cluster) -> dict[str, Obj]:
    """ReplicaSets by the image of their template."""
    found = cluster.admin.get(cluster.path(kube.REPLICASETS))["items"]
    return {rs["spec"]["template"]["spec"]["containers"][0]["image"]: rs for rs in found}


def finished(cluster: Cluster, path: str, revision: str, image: str) -> None:
    """Wait until all pods are of this revision and image."""
    until(lambda: cluster.admin.get(path)["metadata"]["annotations"][REVISION] == revision, f"revision {revision}")
    until(lambda: images(cluster) == {image}, f"all run {image}")
    reason(cluster, path, "NewReplicaSetAvailable")


def test_a_rollout_step_by_step(cluster: Cluster) -> None:
    path = workload(cluster, kube.DEPLOYMENTS, 4, strategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    done = reason(cluster, path, "NewReplicaSetAvailable")
    (first,) = sets(cluster).values()
    assert (done["status"], done["message"]) == ("True", f'ReplicaSet "{first["metadata"]["name"]}" has successfully progressed.')
    assert condition(cluster, path, "Available")["message"] == "Deployment has minimum availability."
    notes = first["metadata"]["annotations"]
    assert [notes[f"deployment.kubernetes.io/{key}"] for key in ("desired-replicas", "max-replicas", "revision")] == ["4", "5", "1"]
    version = cluster.admin.get(cluster.path(kube.REPLICASETS))["metadata"]["resourceVersion"]
    change(cluster, path)
    sizes = {"img:1": 4, "img:2": 0}
    for event in cluster.admin.watch(f"{cluster.path(kube.REPLICASETS)}?watch=true&resourceVersion={version}&timeoutSeconds=20"):
        spec = event["object"]["spec"]
        sizes[spec["template"]["spec"]["containers"][0]["image"]] = spec["replicas"]
        assert 4 <= sum(sizes.values()) <= 5, sizes
        if sizes == {"img:1": 0, "img:2": 4}:
            break
    cluster.settled("app=web", 4)
    reason(cluster, path, "NewReplicaSetAvailable")
    assert cluster.admin.get(path)["metadata"]["annotations"][REVISION] == "2"
    assert {image: rs["metadata"]["annotations"][REVISION] for image, rs in sets(cluster).items()} == {"img:1": "1", "img:2": "2"}
    told = [e["message"] for e in cluster.admin.get(cluster.path(kube.EVENTS))["items"] if e["reason"] == "ScalingReplicaSet"]
    assert f"Scaled up replica set {sets(cluster)['img:2']['metadata']['name']} from 0 to 1" in told
    assert f"Scaled down replica set {first['metadata']['name']} from 1 to 0" in told


def test_a_template_that_comes_back_is_a_new_revision(cluster: Cluster) -> None:
    path = workload(cluster, kube.DEPLOYMENTS, 2, revisionHistoryLimit=1)
    before = sets(cluster)["img:1"]["metadata"]["name"]
    for number, image in enumerate(("img:2", "img:1", "img:3"), 2):
        change(cluster, path, image)
        finished(cluster, path, str(number), image)
        if image == "img:1":
            back = sets(cluster)["img:1"]["metadata"]
            assert (back["name"], back["annotations"][REVISION], back["annotations"][f"{REVISION}-history"]) == (before, "3", "1")
    until(lambda: set(sets(cluster)) == {"img:1", "img:3"}, "the oldest beyond the limit is forgotten")


def test_new_pods_that_never_get_ready(cluster: Cluster) -> None:
    path = workload(cluster, kube.DEPLOYMENTS, 3, progressDeadlineSeconds=2, strategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}})
    change(cluster, path, node=NOWHERE)
    failed = reason(cluster, path, "ProgressDeadlineExceeded")
    new = sets(cluster)["img:2"]
    assert (failed["status"], failed["message"]) == ("False", f'ReplicaSet "{new["metadata"]["name"]}" has timed out progressing.')
    assert {image: rs["spec"]["replicas"] for image, rs in sets(cluster).items()} == {"img:1": 2, "img:2": 2}
    status = cluster.admin.get(path)["status"]
    assert [status.get(key, 0) for key in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")] == [
        4,
        2,
        2,
        2,
        2,
    ]
    assert condition(cluster, path, "Available")["status"] == "True"
    (pod, *_) = [p for p in cluster.pods("app=web") if p["spec"]["containers"][0]["image"] == "img:2"]
    assert (pod["status"]["phase"], pod["status"]["conditions"][0]["reason"]) == ("Pending", "Unschedulable")
    change(cluster, path, "img:1")  # the way back
    until(lambda: images(cluster) == {"img:1"}, "only old pods")
    cluster.settled("app=web", 3)
    reason(cluster, path, "NewReplicaSetAvailable")


def test_recreate_ends_the_old_first(cluster: Cluster) -> None:
    path = workload(cluster, kube.DEPLOYMENTS, 2, strategy={"type": "Recreate"})
    before = cluster.admin.get(cluster.path(kube.PODS))
    version = before["metadata"]["resourceVersion"]
    living = {p["metadata"]["name"]: p["spec"]["containers"][0]["image"] for p in before["items"]}
    assert list(living.values()) == ["img:1", "img:1"]
    change(cluster, path)
    images: list[str] = []
    for event in cluster.admin.watch(f"{cluster.path(kube.PODS)}?watch=true&resourceVersion={version}&timeoutSeconds=20"):
        pod = event["object"]
        living[pod["metadata"]["name"]] = pod["spec"]["containers"][0]["image"]
        if event["type"] == "DELETED":
            del living[pod["metadata"]["name"]]
        images = sorted(living.values())
        assert len(set(images)) < 2
        if images == ["img:2", "img:2"]:
            break
    cluster.settled("app=web", 2)


def test_paused(cluster: Cluster) -> None:
    path = workload(cluster, kube.DEPLOYMENTS, 1, paused=False)
    cluster.admin.patch(path, {"spec": {"paused": True}})
    change(cluster, path)
    cluster.admin.patch(path, {"spec": {"replicas": 2}})
    cluster.settled("app=web", 2)
    assert set(sets(cluster)) == {"img:1"}
    cluster.admin.patch(path, {"spec": {"paused": False}})
    until(lambda: images(cluster) == {"img:2"}, "it goes on")


@pytest.mark.parametrize(("resource", "replicas"), [(kube.STATEFULSETS, 2), (kube.DAEMONSETS, None)])
def test_others_keep_their_history(cluster: Cluster, resource: kube.Resource, replicas: int | None) -> None:
    path = workload(cluster, resource, replicas, **({"serviceName": "web"} if resource is kube.STATEFULSETS else {}))

    def revisions() -> dict[str, int]:
        found = cluster.admin.get(cluster.path(kube.CONTROLLERREVISIONS))["items"]
        return {r["data"]["spec"]["template"]["spec"]["containers"][0]["image"]: r["revision"] for r in found}

    assert revisions() == {"img:1": 1}
    change(cluster, path)
    until(lambda: images(cluster) == {"img:2"}, "all run the new image", 30)
    assert revisions() == {"img:1": 1, "img:2": 2}
    change(cluster, path, "img:1")
    until(lambda: images(cluster) == {"img:1"}, "all run the old image again", 30)
    assert revisions() == {"img:1": 3, "img:2": 2}


def test_a_cordoned_node_gets_no_pods(cluster: Cluster) -> None:
    node = cluster.nodes[-1]
    cluster.admin.patch(kube.NODES.path(name=node), {"metadata": {"labels": {"of": cluster.namespace}}, "spec": {"unschedulable": True}})
    try:
        cluster.pod("p", nodeSelector={"of": cluster.namespace})

        def refused() -> bool:
            found = cluster.admin.get(cluster.path(kube.PODS, "p"))["status"].get("conditions", [])
            return [c.get("reason") for c in found] == ["Unschedulable"]

        until(refused, "the pod waits")
        cluster.pod("here", nodeName=node)  # the scheduler is not asked
        cluster.running("here")
    finally:
        cluster.admin.patch(kube.NODES.path(name=node), {"spec": {"unschedulable": None}})
    until(lambda: cluster.admin.get(cluster.path(kube.PODS, "p"))["spec"].get("nodeName") == node, "the pod gets its node")


def test_an_immutable_secret(cluster: Cluster) -> None:
    path = cluster.path(kube.SECRETS, "s")
    cluster.admin.create(cluster.path(kube.SECRETS), {"metadata": {"name": "s"}, "stringData": {"a": "b"}, "immutable": True})
    data = "data: Forbidden: field is immutable when `immutable` is set"
    for patch, why in (({"data": {"a": "Yw=="}}, data), ({"data": {"more": "Yw=="}}, data), ({"stringData": {"a": "c"}}, data),
                       ({"immutable": False}, "immutable: Forbidden: field is immutable when `immutable` is set"),
                       ({"immutable": None}, "immutable: Forbidden: field is immutable when `immutable` is set")):  # fmt: skip
        reply = cluster.admin.send("PATCH", path, patch, type="application/merge-patch+json")
        assert (reply.status, reply.json["message"]) == (422, f'Secret "s" is invalid: {why}'), patch
    cluster.admin.patch(path, {"metadata": {"annotations": {"a": "b"}}})
    reply = cluster.admin.send("PATCH", path, {"type": "other"}, type="application/merge-patch+json")
    assert (reply.status, reply.json["details"]["causes"][0]["field"]) == (422, "type")
    cluster.admin.send("DELETE", path).ok()
