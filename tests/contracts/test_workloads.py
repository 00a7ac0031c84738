"""What controllers do when a pod is relabelled, a workload scaled, and labels come back."""

from __future__ import annotations

import time

import pytest

from irkit.model import kube
from tests.contracts.client import Obj, until
from tests.contracts.conftest import Cluster


def relabel(cluster: Cluster, pod: Obj) -> Obj:
    """irkit's patch: all labels go, two come, pinned to what was read."""
    meta = pod["metadata"]
    labels = {**dict.fromkeys(meta["labels"]), "quarantine": "true"}
    pinned = {"labels": labels, "uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
    return cluster.admin.patch(f"{cluster.path(kube.PODS, meta['name'])}?fieldManager=irkit", {"metadata": pinned})


def detached(cluster: Cluster, name: str) -> Obj:
    def look() -> Obj | None:
        pod = cluster.admin.get(cluster.path(kube.PODS, name))
        return None if pod["metadata"].get("ownerReferences") else pod

    return until(look, f"{name} is detached")


def scale(cluster: Cluster, resource: kube.Resource, name: str, replicas: int) -> Obj:
    return cluster.admin.patch(f"{cluster.path(resource, name, 'scale')}?fieldManager=irkit", {"spec": {"replicas": replicas}})


def names(pods: list[Obj]) -> set[str]:
    return {pod["metadata"]["name"] for pod in pods}


def test_a_deployment_makes_replicasets_make_pods(cluster: Cluster) -> None:
    deployment = cluster.workload(kube.DEPLOYMENTS, "web", 2)
    (replicaset,) = cluster.admin.get(cluster.path(kube.REPLICASETS))["items"]
    hashed = replicaset["metadata"]["labels"]["pod-template-hash"]
    assert replicaset["metadata"]["name"] == f"web-{hashed}"
    assert replicaset["spec"]["selector"] == {"matchLabels": {"app": "web", "pod-template-hash": hashed}}
    (owner,) = replicaset["metadata"]["ownerReferences"]
    assert owner == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": deployment["metadata"]["uid"],
                     "controller": True, "blockOwnerDeletion": True}  # fmt: skip
    for pod in cluster.pods("app=web"):
        assert pod["metadata"]["labels"] == {"app": "web", "pod-template-hash": hashed}
        assert pod["metadata"]["generateName"] == f"web-{hashed}-"
        assert pod["metadata"]["name"].startswith(f"web-{hashed}-")
        assert pod["metadata"]["ownerReferences"] == [{**owner, "kind": "ReplicaSet", "name": replicaset["metadata"]["name"],
                                                       "uid": replicaset["metadata"]["uid"]}]  # fmt: skip

    def ready() -> bool:
        status = cluster.admin.get(cluster.path(kube.DEPLOYMENTS, "web"))["status"]
        return [status.get(key) for key in ("readyReplicas", "availableReplicas", "updatedReplicas")] == [2, 2, 2]

    until(ready, "the Deployment counts its pods")


def test_a_relabelled_pod_is_let_go_and_replaced(cluster: Cluster) -> None:
    cluster.workload(kube.DEPLOYMENTS, "web", 2)
    suspect, sibling = cluster.pods("app=web")
    version = suspect["metadata"]["resourceVersion"]
    relabel(cluster, suspect)
    kept = detached(cluster, suspect["metadata"]["name"])
    assert kept["metadata"]["uid"] == suspect["metadata"]["uid"]
    assert kept["status"]["phase"] == "Running"
    pods = cluster.settled("app=web", 2)
    assert sibling["metadata"]["name"] in names(pods)
    assert suspect["metadata"]["name"] not in names(pods)
    # a watch tells the relabelling and the letting go as two writes, in this order
    path = (
        f"{cluster.path(kube.PODS)}?watch=true&timeoutSeconds=3&resourceVersion={version}&fieldSelector=metadata.name%3D{suspect['metadata']['name']}"
    )
    owned = []
    for event in cluster.admin.watch(path):
        owned.append(bool(event["object"]["metadata"].get("ownerReferences")))
        if not owned[-1]:
            break
    assert owned == [True, False]


def test_scaled_to_nothing_the_detached_pod_lives(cluster: Cluster) -> None:
    cluster.workload(kube.DEPLOYMENTS, "web", 3)
    suspect = cluster.pods("app=web")[0]
    relabel(cluster, suspect)
    detached(cluster, suspect["metadata"]["name"])
    cluster.settled("app=web", 3)
    answer = scale(cluster, kube.DEPLOYMENTS, "web", 0)
    assert (answer["kind"], answer["apiVersion"], answer["spec"]) == ("Scale", "autoscaling/v1", {})  # 0 is not said
    until(lambda: not cluster.pods("app=web"), "all pods of the Deployment are gone")
    assert names(cluster.pods()) == {suspect["metadata"]["name"]}
    assert cluster.admin.get(cluster.path(kube.DEPLOYMENTS, "web"))["spec"]["replicas"] == 0
    assert "deletionTimestamp" not in cluster.admin.get(cluster.path(kube.PODS, suspect["metadata"]["name"]))["metadata"]


def test_labels_back_on_a_workload_that_is_down_delete_the_pod(cluster: Cluster) -> None:
    cluster.workload(kube.DEPLOYMENTS, "web", 1)
    (suspect,) = cluster.pods("app=web")
    relabel(cluster, suspect)
    detached(cluster, suspect["metadata"]["name"])
    cluster.settled("app=web", 1)
    scale(cluster, kube.DEPLOYMENTS, "web", 0)
    until(lambda: not cluster.pods("app=web"), "the replacement is gone")
    path = cluster.path(kube.PODS, suspect["metadata"]["name"])
    cluster.admin.patch(path, {"metadata": {"labels": {**suspect["metadata"]["labels"], "quarantine": None}}})
    until(lambda: cluster.admin.send("GET", path).status == 404, "the pod that came back is deleted")


def test_labels_back_adopt_the_pod_and_end_the_youngest(cluster: Cluster) -> None:
    cluster.workload(kube.REPLICASETS, "web", 2)
    pods = cluster.pods("app=web")
    suspect = pods[0]
    time.sleep(3)  # the controller compares ages by powers of two
    relabel(cluster, suspect)
    detached(cluster, suspect["metadata"]["name"])
    replacement = names(cluster.settled("app=web", 2)) - names(pods)
    cluster.admin.patch(
        cluster.path(kube.PODS, suspect["metadata"]["name"]), {"metadata": {"labels": {**suspect["metadata"]["labels"], "quarantine": None}}}
    )
    until(lambda: names(cluster.pods("app=web")) == names(pods), f"{replacement} goes, the suspect stays")
    (owner,) = cluster.admin.get(cluster.path(kube.PODS, suspect["metadata"]["name"]))["metadata"]["ownerReferences"]
    assert owner["kind"] == "ReplicaSet"


def test_a_stateful_set_has_no_replacement_while_the_name_is_taken(cluster: Cluster) -> None:
    cluster.workload(kube.STATEFULSETS, "db", 2, serviceName="db")
    assert names(cluster.pods("app=db")) == {"db-0", "db-1"}
    suspect = cluster.admin.get(cluster.path(kube.PODS, "db-0"))
    assert suspect["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] == "db-0"
    assert suspect["metadata"]["labels"]["controller-revision-hash"]
    relabel(cluster, suspect)
    detached(cluster, "db-0")
    time.sleep(0.5)
    assert names(cluster.pods("app=db")) == {"db-1"}
    scale(cluster, kube.STATEFULSETS, "db", 0)
    until(lambda: not cluster.pods("app=db"), "ordinal 1 is gone")
    assert names(cluster.pods()) == {"db-0"}
    scale(cluster, kube.STATEFULSETS, "db", 2)
    time.sleep(0.5)
    assert not cluster.pods("app=db")
    cluster.admin.send("DELETE", cluster.path(kube.PODS, "db-0")).ok()
    assert names(cluster.settled("app=db", 2)) == {"db-0", "db-1"}


def test_a_stateful_set_takes_its_ordinal_back(cluster: Cluster) -> None:
    cluster.workload(kube.STATEFULSETS, "db", 1, serviceName="db")
    suspect = cluster.admin.get(cluster.path(kube.PODS, "db-0"))
    relabel(cluster, suspect)
    detached(cluster, "db-0")
    cluster.admin.patch(cluster.path(kube.PODS, "db-0"), {"metadata": {"labels": {**suspect["metadata"]["labels"], "quarantine": None}}})

    def taken_back() -> bool:
        pod = cluster.admin.get(cluster.path(kube.PODS, "db-0"))
        return bool(pod["metadata"].get("ownerReferences")) and pod["metadata"]["uid"] == suspect["metadata"]["uid"]

    until(taken_back, "db-0 is owned again")


def test_a_daemon_set_without_a_node_lets_the_detached_pod_live(cluster: Cluster) -> None:
    template = {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [{"name": "c", "image": "img:1"}]}}
    body = {"metadata": {"name": "agent"}, "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": template}}
    cluster.admin.create(cluster.path(kube.DAEMONSETS), body)
    pods = cluster.settled("app=agent", len(cluster.nodes))
    suspect = pods[0]
    relabel(cluster, suspect)
    kept = detached(cluster, suspect["metadata"]["name"])
    again = cluster.settled("app=agent", len(cluster.nodes))
    assert {p["spec"]["nodeName"] for p in again} == set(cluster.nodes)
    nowhere = {"spec": {"template": {"spec": {"nodeSelector": {"irkit.dev/stopped": "k7q2"}}}}}
    changed = cluster.admin.patch(f"{cluster.path(kube.DAEMONSETS, 'agent')}?fieldManager=irkit", nowhere)
    assert changed["spec"]["template"]["spec"]["nodeSelector"] == {"irkit.dev/stopped": "k7q2"}
    until(lambda: not cluster.pods("app=agent"), "the pods of the DaemonSet are gone")
    assert names(cluster.pods()) == {kept["metadata"]["name"]}
    back = {"spec": {"template": {"spec": {"nodeSelector": None}}}}
    changed = cluster.admin.patch(cluster.path(kube.DAEMONSETS, "agent"), back)
    assert "nodeSelector" not in changed["spec"]["template"]["spec"]
    cluster.settled("app=agent", len(cluster.nodes))


def job(cluster: Cluster, parallelism: int = 1) -> Obj:
    template = {"spec": {"restartPolicy": "Never", "nodeName": cluster.nodes[0], "containers": [{"name": "c", "image": "img:1"}]}}
    made = cluster.admin.create(cluster.path(kube.JOBS), {"metadata": {"name": "work"}, "spec": {"parallelism": parallelism, "template": template}})
    cluster.settled("job-name=work", parallelism)
    return made


def test_a_job_replaces_a_relabelled_pod_and_no_longer_holds_it(cluster: Cluster) -> None:
    made = job(cluster)
    assert made["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": made["metadata"]["uid"]}}
    (suspect,) = cluster.pods("job-name=work")
    assert suspect["metadata"]["finalizers"] == ["batch.kubernetes.io/job-tracking"]
    relabel(cluster, suspect)
    name = suspect["metadata"]["name"]
    detached(cluster, name)
    until(lambda: not cluster.admin.get(cluster.path(kube.PODS, name))["metadata"].get("finalizers"), "the finalizer is gone")
    (other,) = cluster.settled("job-name=work", 1)
    assert other["metadata"]["name"] != name
    stopped = cluster.admin.patch(f"{cluster.path(kube.JOBS, 'work')}?fieldManager=irkit", {"spec": {"suspend": True}})
    assert stopped["spec"]["suspend"] is True
    until(lambda: not cluster.pods("job-name=work"), "suspending deletes the pods that the Job owns")
    assert names(cluster.pods()) == {name}

    def suspended() -> bool:
        conditions = cluster.admin.get(cluster.path(kube.JOBS, "work"))["status"].get("conditions", [])
        return any(c["type"] == "Suspended" and c["status"] == "True" for c in conditions)

    until(suspended, "the Job says that it is suspended")
    cluster.admin.patch(cluster.path(kube.JOBS, "work"), {"spec": {"suspend": False}})
    cluster.settled("job-name=work", 1)


def test_a_job_is_complete_when_its_pod_has_succeeded(cluster: Cluster) -> None:
    job(cluster)
    (pod,) = cluster.pods("job-name=work")
    name = pod["metadata"]["name"]
    ended = [{**s, "ready": False, "state": {"terminated": {"exitCode": 0}}} for s in pod["status"]["containerStatuses"]]
    cluster.admin.patch(cluster.path(kube.PODS, name, "status"), {"status": {"phase": "Succeeded", "containerStatuses": ended}})

    def done() -> bool:
        status = cluster.admin.get(cluster.path(kube.JOBS, "work"))["status"]
        return status.get("succeeded") == 1 and any(c["type"] == "Complete" and c["status"] == "True" for c in status.get("conditions", []))

    until(done, "the Job is complete")
    until(lambda: not cluster.admin.get(cluster.path(kube.PODS, name))["metadata"].get("finalizers"), "the pod is counted")


def test_a_cron_job_is_suspended(cluster: Cluster) -> None:
    inner = {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "img:1"}]}}}}
    body = {"metadata": {"name": "nightly"}, "spec": {"schedule": "0 0 1 1 *", "jobTemplate": inner}}
    made = cluster.admin.create(cluster.path(kube.CRONJOBS), body)
    assert made["spec"]["suspend"] is False
    patched = cluster.admin.patch(f"{cluster.path(kube.CRONJOBS, 'nightly')}?fieldManager=irkit", {"spec": {"suspend": True}})
    assert patched["spec"]["suspend"] is True
    assert patched["metadata"]["generation"] == 2


def test_a_new_template_replaces_the_pods(cluster: Cluster) -> None:
    cluster.workload(kube.DEPLOYMENTS, "web", 2)
    before = names(cluster.pods("app=web"))
    change = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "img:2"}]}}}}
    cluster.admin.patch(cluster.path(kube.DEPLOYMENTS, "web"), change)
    until(lambda: not before & names(cluster.pods("app=web")), "the old pods are gone")
    after = cluster.settled("app=web", 2)
    assert {p["spec"]["containers"][0]["image"] for p in after} == {"img:2"}
    assert len(cluster.admin.get(cluster.path(kube.REPLICASETS))["items"]) == 2


def test_what_an_owner_had_goes_with_it(cluster: Cluster) -> None:
    cluster.workload(kube.DEPLOYMENTS, "web", 1)
    (suspect,) = cluster.pods("app=web")
    relabel(cluster, suspect)
    detached(cluster, suspect["metadata"]["name"])
    cluster.settled("app=web", 1)
    done = cluster.admin.send("DELETE", cluster.path(kube.DEPLOYMENTS, "web"), {"propagationPolicy": "Background"}).ok()
    assert done["status"] == "Success"
    until(lambda: not cluster.admin.get(cluster.path(kube.REPLICASETS))["items"], "the ReplicaSet is collected")
    until(lambda: names(cluster.pods()) == {suspect["metadata"]["name"]}, "the pods are collected, the detached one is not")


def test_services_lose_the_endpoint_of_a_relabelled_pod(cluster: Cluster) -> None:
    cluster.workload(kube.REPLICASETS, "web", 1)
    (suspect,) = cluster.pods("app=web")
    cluster.admin.create(cluster.path(kube.SERVICES), {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}})

    def targets() -> set[str]:
        slices = cluster.admin.get(f"{cluster.path(kube.ENDPOINTSLICES)}?labelSelector=kubernetes.io/service-name%3Dweb")["items"]
        return {e["targetRef"]["name"] for s in slices for e in s.get("endpoints") or () if e["conditions"]["ready"]}

    until(lambda: targets() == {suspect["metadata"]["name"]}, "the Service sends to the pod")
    relabel(cluster, suspect)
    until(lambda: suspect["metadata"]["name"] not in targets(), "the Service no longer sends to the suspect")


# the scale subresource


def test_scale_reads_and_writes_replicas(cluster: Cluster) -> None:
    made = cluster.workload(kube.DEPLOYMENTS, "web", 1)
    found = cluster.admin.get(cluster.path(kube.DEPLOYMENTS, "web", "scale"))
    assert found["spec"] == {"replicas": 1}
    assert found["status"]["selector"] == "app=web"
    assert found["metadata"]["uid"] == made["metadata"]["uid"]
    tried = cluster.admin.patch(f"{cluster.path(kube.DEPLOYMENTS, 'web', 'scale')}?dryRun=All", {"spec": {"replicas": 5}})
    assert tried["spec"] == {"replicas": 5}
    assert cluster.admin.get(cluster.path(kube.DEPLOYMENTS, "web"))["spec"]["replicas"] == 1
    scale(cluster, kube.DEPLOYMENTS, "web", 2)
    cluster.settled("app=web", 2)


def test_scaling_has_a_field_manager_unless_it_is_to_nothing(cluster: Cluster) -> None:
    """A Scale of 0 carries no `replicas`, so that managedFields name nobody: the audit log is the proof of who did it."""
    cluster.workload(kube.DEPLOYMENTS, "web", 1)

    def owners() -> list[tuple[str, str]]:
        meta = cluster.admin.get(cluster.path(kube.DEPLOYMENTS, "web"))["metadata"]
        found = [e for e in meta["managedFields"] if "f:replicas" in e["fieldsV1"].get("f:spec", {})]
        return [(e["manager"], e.get("subresource", "")) for e in found]

    scale(cluster, kube.DEPLOYMENTS, "web", 2)
    assert owners() == [("irkit", "scale")]
    scale(cluster, kube.DEPLOYMENTS, "web", 0)
    assert owners() == []


def test_a_scale_that_is_refused(cluster: Cluster) -> None:
    made = cluster.workload(kube.DEPLOYMENTS, "web", 0)
    path, uid = cluster.path(kube.DEPLOYMENTS, "web", "scale"), made["metadata"]["uid"]
    reply = cluster.admin.send("PATCH", path, {"spec": {"replicas": -1}}, type="application/merge-patch+json")
    why = "spec.replicas: Invalid value: -1: must be greater than or equal to 0"
    assert (reply.status, reply.json["message"]) == (422, f'Scale.autoscaling "web" is invalid: {why}')
    stale = {"metadata": {"resourceVersion": "1", "uid": uid}, "spec": {"replicas": 3}}
    reply = cluster.admin.send("PATCH", path, stale, type="application/merge-patch+json")
    assert (reply.status, reply.json["details"]["kind"]) == (409, "deployments")
    other = {"metadata": {"uid": "another"}, "spec": {"replicas": 3}}
    reply = cluster.admin.send("PATCH", path, other, type="application/merge-patch+json")
    why = f"Precondition failed: UID in precondition: another, UID in object meta: {uid}"
    assert (reply.status, reply.json["message"]) == (409, f'Operation cannot be fulfilled on deployments/scale.apps "web": {why}')
    pinned: Obj = {}

    def accepted() -> bool:
        """Once no controller writes a status in between."""
        meta = cluster.admin.get(path)["metadata"]
        pinned.update({"metadata": {k: meta[k] for k in ("uid", "resourceVersion")}, "spec": {"replicas": 0}})
        answer = cluster.admin.send("PATCH", path, pinned, type="application/merge-patch+json")
        return answer.status == 200 and answer.json["spec"] == {}

    assert until(accepted, "the pinned scale is taken")
    missing = cluster.admin.send("PATCH", cluster.path(kube.DEPLOYMENTS, "nope", "scale"), pinned, type="application/merge-patch+json")
    assert (missing.status, missing.json["message"]) == (404, 'deployments.apps "nope" not found')


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"selector": {"matchLabels": {"app": "other"}}}, "spec.selector"),
        ({"template": {"metadata": {"labels": {"app": "o"}}}}, "spec.template.metadata.labels"),
    ],
)
def test_selectors_stay(cluster: Cluster, change: Obj, field: str) -> None:
    cluster.workload(kube.DEPLOYMENTS, "web", 0)
    reply = cluster.admin.send("PATCH", cluster.path(kube.DEPLOYMENTS, "web"), {"spec": change}, type="application/merge-patch+json")
    assert reply.status == 422
    assert field in [c["field"] for c in reply.json["details"]["causes"]]
