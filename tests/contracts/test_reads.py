"""get, list, pages, watch."""

from __future__ import annotations

import pytest

from irkit.model import kube
from tests.contracts.client import Obj
from tests.contracts.conftest import Cluster
from tests.contracts.differences import tolerate


def test_a_pod_is_got_whole(cluster: Cluster) -> None:
    made = cluster.pod("p", {"app": "web"})
    pod = cluster.running("p")
    assert (pod["kind"], pod["apiVersion"]) == ("Pod", "v1")
    assert pod["metadata"]["uid"] == made["metadata"]["uid"]
    assert pod["metadata"]["labels"] == {"app": "web"}
    assert pod["spec"]["nodeName"] in cluster.nodes
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["podIP"]
    (status,) = pod["status"]["containerStatuses"]
    assert status["name"] == "c"
    assert status["restartCount"] == 0
    assert status["ready"] is True
    assert "running" in status["state"]
    tolerate("service-account-volume")


@pytest.mark.parametrize("resource", [kube.PODS, kube.NETWORKPOLICIES, kube.DEPLOYMENTS, kube.LEASES], ids=lambda r: r.plural)
def test_what_is_not_there_is_a_404_with_name_and_kind(cluster: Cluster, resource: kube.Resource) -> None:
    reply = cluster.admin.send("GET", cluster.path(resource, "nope"))
    group = f".{resource.group}" if resource.group else ""
    details = {"name": "nope", "kind": resource.plural, **({"group": resource.group} if resource.group else {})}
    assert (reply.status, reply.content_type) == (404, "application/json")
    assert reply.json == {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "NotFound", "code": 404,
                          "message": f'{resource.plural}{group} "nope" not found', "details": details}  # fmt: skip


def test_a_resource_that_is_not_served_is_a_404(cluster: Cluster) -> None:
    assert cluster.admin.send("GET", "/apis/argoproj.io/v1alpha1/namespaces/x/applications").status == 404
    assert cluster.admin.send("GET", "/apis/apps/v1/namespaces/x/nonsense").status == 404
    reply = cluster.admin.send("GET", "/api/v1/nonsense")
    assert (reply.status, reply.json["message"]) == (404, "the server could not find the requested resource")


def test_a_list_carries_its_version_and_bare_items(cluster: Cluster) -> None:
    cluster.pod("b", {"app": "web"})
    cluster.pod("a", {"app": "web", "tier": "x"})
    listed = cluster.admin.get(cluster.path(kube.PODS))
    assert (listed["kind"], listed["apiVersion"]) == ("PodList", "v1")
    assert int(listed["metadata"]["resourceVersion"]) > 0
    assert [item["metadata"]["name"] for item in listed["items"]] == ["a", "b"]
    assert all("kind" not in item and "apiVersion" not in item for item in listed["items"])
    empty = cluster.admin.get(kube.PODS.path("no-such-namespace"))
    assert empty["items"] == []


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("labelSelector=app%3Dweb", ["a", "b"]),
        ("labelSelector=app%3Dweb,tier", ["a"]),
        ("labelSelector=app%3Dweb,!tier", ["b"]),
        ("labelSelector=app%20in%20(web,db),tier%20notin%20(x)", ["b", "c"]),
        ("labelSelector=app!%3Dweb", ["c", "d"]),
        ("fieldSelector=metadata.name%3Db", ["b"]),
        ("fieldSelector=metadata.name!%3Db,status.phase!%3DSucceeded", ["a", "c", "d"]),
    ],
)
def test_selectors(cluster: Cluster, query: str, names: list[str]) -> None:
    for name, labels in {"a": {"app": "web", "tier": "x"}, "b": {"app": "web"}, "c": {"app": "db"}, "d": {}}.items():
        cluster.pod(name, labels)
    found = cluster.admin.get(f"{cluster.path(kube.PODS)}?{query}")["items"]
    assert [item["metadata"]["name"] for item in found] == names


def test_pods_are_selected_by_node_and_events_by_object(cluster: Cluster) -> None:
    cluster.pod("p", nodeName=cluster.nodes[0])
    cluster.running("p")
    here = cluster.admin.get(f"{cluster.path(kube.PODS)}?fieldSelector=spec.nodeName%3D{cluster.nodes[0]}")["items"]
    there = cluster.admin.get(f"{cluster.path(kube.PODS)}?fieldSelector=spec.nodeName%3D{cluster.nodes[1]}")["items"]
    assert [len(here), len(there)] == [1, 0]
    event = {"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p", "namespace": cluster.namespace, "uid": "u-1"}}
    cluster.admin.create(cluster.path(kube.EVENTS), event)
    for selector, count in (
        ("involvedObject.uid%3Du-1", 1),
        ("involvedObject.name%3Dp,involvedObject.kind%3DPod", None),
        ("involvedObject.uid%3Du-2", 0),
    ):
        found = cluster.admin.get(f"{cluster.path(kube.EVENTS)}?fieldSelector={selector}")["items"]
        assert len(found) >= 1 if count is None else len(found) == count
    made = cluster.admin.get(cluster.path(kube.EVENTS, "e"))
    assert made["lastTimestamp"] is None
    assert made["eventTime"] is None


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("fieldSelector=spec.foo%3Db", "field label not supported: spec.foo"),
        ("labelSelector=a%20b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("labelSelector=a%20in", "unable to parse requirement: found '' expected: '('"),
        ("labelSelector=a%20in%20%28b", "unable to parse requirement: found '', expected: ',' or ')'"),
    ],
)
def test_questions_that_make_no_sense_are_400(cluster: Cluster, query: str, message: str) -> None:
    reply = cluster.admin.send("GET", f"{cluster.path(kube.PODS)}?{query}")
    assert (reply.status, reply.json["reason"], reply.json["message"]) == (400, "BadRequest", message)


def test_pages_are_of_one_moment(cluster: Cluster) -> None:
    for n in range(5):
        cluster.admin.create(cluster.path(kube.CONFIGMAPS), {"metadata": {"name": f"m{n}", "labels": {"a": "b"}}})
    path = f"{cluster.path(kube.CONFIGMAPS)}?labelSelector=a%3Db&limit=2"
    first = cluster.admin.get(path)
    cluster.admin.create(cluster.path(kube.CONFIGMAPS), {"metadata": {"name": "m9", "labels": {"a": "b"}}})
    names, page = [i["metadata"]["name"] for i in first["items"]], first
    while token := page["metadata"].get("continue"):
        page = cluster.admin.get(f"{path}&continue={token}")
        assert page["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        names += [i["metadata"]["name"] for i in page["items"]]
    assert names == ["m0", "m1", "m2", "m3", "m4"]


def _until(events: list[Obj], name: str, kind: str) -> bool:
    return any(e["type"] == kind and e["object"]["metadata"]["name"] == name for e in events)


def test_a_watch_without_version_tells_first_what_is_there(cluster: Cluster) -> None:
    cluster.admin.create(cluster.path(kube.CONFIGMAPS), {"metadata": {"name": "one"}})
    events = list(cluster.admin.watch(f"{cluster.path(kube.CONFIGMAPS)}?watch=true&timeoutSeconds=1"))
    assert _until(events, "one", "ADDED")
    assert all(e["object"]["kind"] == "ConfigMap" and e["object"]["apiVersion"] == "v1" for e in events)


def test_a_watch_goes_on_where_the_list_ended(cluster: Cluster) -> None:
    maps = cluster.path(kube.CONFIGMAPS)
    cluster.admin.create(maps, {"metadata": {"name": "before"}})
    version = cluster.admin.get(maps)["metadata"]["resourceVersion"]
    cluster.admin.create(maps, {"metadata": {"name": "x"}})
    cluster.admin.patch(f"{maps}/x", {"data": {"a": "b"}})
    cluster.admin.send("DELETE", f"{maps}/x").ok()
    seen = []
    for event in cluster.admin.watch(f"{maps}?watch=true&timeoutSeconds=5&resourceVersion={version}"):
        seen.append((event["type"], event["object"]["metadata"]["name"]))
        if event["type"] == "DELETED":
            break
    assert [s for s in seen if s[1] != "kube-root-ca.crt"] == [("ADDED", "x"), ("MODIFIED", "x"), ("DELETED", "x")]


def test_what_leaves_a_selector_is_deleted_for_its_watch(cluster: Cluster) -> None:
    cluster.pod("p", {"app": "web"}, nodeName=cluster.nodes[0])
    cluster.running("p")
    version = cluster.admin.get(cluster.path(kube.PODS))["metadata"]["resourceVersion"]
    for labels in ({"app": None}, {"app": "web"}):
        cluster.admin.patch(cluster.path(kube.PODS, "p"), {"metadata": {"labels": labels}})
    seen = []
    for event in cluster.admin.watch(f"{cluster.path(kube.PODS)}?watch=true&timeoutSeconds=5&labelSelector=app%3Dweb&resourceVersion={version}"):
        seen.append(event["type"])
        if event["type"] == "ADDED":
            break
    assert seen[-2:] == ["DELETED", "ADDED"]


def test_a_watch_of_one_name(cluster: Cluster) -> None:
    for name in ("a", "b"):
        cluster.admin.create(cluster.path(kube.LEASES), {"metadata": {"name": name}, "spec": {}})
    events = list(cluster.admin.watch(f"{cluster.path(kube.LEASES)}?watch=true&timeoutSeconds=1&fieldSelector=metadata.name%3Da"))
    assert [e["object"]["metadata"]["name"] for e in events] == ["a"]


def test_namespaces_have_their_name_as_label(cluster: Cluster) -> None:
    found = cluster.admin.get(kube.NAMESPACES.path(name=cluster.namespace))
    assert found["metadata"]["labels"]["kubernetes.io/metadata.name"] == cluster.namespace
    assert found["status"]["phase"] == "Active"
    assert cluster.admin.get(kube.NAMESPACES.path(name="kube-system"))["metadata"]["uid"]


def test_version(cluster: Cluster) -> None:
    found = cluster.admin.get("/version")
    assert (found["major"], found["minor"]) == ("1", "35")


def test_a_node_without_checkpoint_api_refuses(cluster: Cluster) -> None:
    reply = cluster.admin.send("POST", f"/api/v1/nodes/{cluster.nodes[0]}/proxy/checkpoint/{cluster.namespace}/p/c")
    tolerate("node-proxy")
    assert reply.status == (400 if cluster.real else 404)
    reply = cluster.admin.send("POST", "/api/v1/nodes/nope/proxy/checkpoint/n/p/c")
    assert (reply.status, reply.json["message"]) == (404, 'nodes "nope" not found')
