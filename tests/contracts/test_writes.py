"""create, patch, apply, delete."""

from __future__ import annotations

from typing import Any

import pytest

from irkit.model import kube
from tests.contracts.client import APPLY, JSON_PATCH, MERGE, STRATEGIC, Obj, until
from tests.contracts.conftest import Cluster
from tests.contracts.differences import tolerate

DENY = {"podSelector": {"matchLabels": {"quarantine": "true", "irkit.dev/incident": "k7q2"}}, "policyTypes": ["Ingress", "Egress"]}
CONFLICT = "the object has been modified; please apply your changes to the latest version and try again"


def deny(cluster: Cluster, name: str = "irkit-k7q2", **options: str) -> Any:
    query = "&".join(["fieldManager=irkit", *(f"{k}={v}" for k, v in options.items())])
    body = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "labels": {"irkit.dev/incident": "k7q2"}},
        "spec": DENY,
    }
    return cluster.admin.send("POST", f"{cluster.path(kube.NETWORKPOLICIES)}?{query}", body)


def manager(obj: Obj, name: str, subresource: str = "") -> Obj:
    """The fields that a manager owns."""
    found = [e for e in obj["metadata"]["managedFields"] if e["manager"] == name and e.get("subresource", "") == subresource]
    assert len(found) == 1, obj["metadata"]["managedFields"]
    assert found[0]["fieldsType"] == "FieldsV1"
    fields: Obj = found[0]["fieldsV1"]
    return fields


def test_a_policy_is_created_with_our_field_manager(cluster: Cluster) -> None:
    made = deny(cluster).ok(201)
    assert made["spec"] == DENY
    assert made["metadata"]["generation"] == 1
    fields = {"f:metadata": {"f:labels": {".": {}, "f:irkit.dev/incident": {}}}, "f:spec": {"f:podSelector": {}, "f:policyTypes": {}}}
    assert manager(made, "irkit") == fields
    assert made["metadata"]["managedFields"][0]["operation"] == "Update"
    assert cluster.admin.get(cluster.path(kube.NETWORKPOLICIES, "irkit-k7q2")) == made


def test_a_dry_run_answers_and_writes_nothing(cluster: Cluster) -> None:
    tried = deny(cluster, dryRun="All").ok(201)
    assert tried["metadata"]["uid"]
    assert "resourceVersion" not in tried["metadata"]
    assert cluster.admin.send("GET", cluster.path(kube.NETWORKPOLICIES, "irkit-k7q2")).status == 404
    pod = cluster.pod("p", {"app": "web"}, nodeName=cluster.nodes[0])
    path = cluster.path(kube.PODS, "p")
    answered = cluster.admin.patch(f"{path}?dryRun=All&fieldManager=irkit", {"metadata": {"labels": {"app": None, "quarantine": "true"}}})
    assert answered["metadata"]["labels"] == {"quarantine": "true"}
    assert cluster.admin.get(path)["metadata"]["labels"] == {"app": "web"}
    cluster.admin.send("DELETE", f"{path}?dryRun=All").ok()
    cluster.admin.send("DELETE", path, {"dryRun": ["All"], "preconditions": {"uid": pod["metadata"]["uid"]}}).ok()
    assert "deletionTimestamp" not in cluster.admin.get(path)["metadata"]


def test_with_a_body_a_delete_does_not_look_at_its_query(cluster: Cluster) -> None:
    made = deny(cluster).ok(201)
    path = cluster.path(kube.NETWORKPOLICIES, "irkit-k7q2")
    cluster.admin.send("DELETE", f"{path}?dryRun=All", {"preconditions": {"uid": made["metadata"]["uid"]}}).ok()
    assert cluster.admin.send("GET", path).status == 404  # no dry run at all


def test_a_name_that_is_taken_is_409_also_in_a_dry_run(cluster: Cluster) -> None:
    deny(cluster).ok(201)
    for reply in (deny(cluster), deny(cluster, dryRun="All")):
        assert (reply.status, reply.json["reason"]) == (409, "AlreadyExists")
        assert reply.json["message"] == 'networkpolicies.networking.k8s.io "irkit-k7q2" already exists'
        assert reply.json["details"] == {"name": "irkit-k7q2", "group": "networking.k8s.io", "kind": "networkpolicies"}


def test_no_namespace_no_object(cluster: Cluster) -> None:
    reply = cluster.admin.send("POST", kube.CONFIGMAPS.path("no-such"), {"metadata": {"name": "x"}})
    assert (reply.status, reply.json["message"]) == (404, 'namespaces "no-such" not found')


def test_defaults_of_a_policy(cluster: Cluster) -> None:
    body = {"metadata": {"name": "x"}, "spec": {"podSelector": {}, "egress": [{"ports": [{"port": 443}]}]}}
    made = cluster.admin.create(cluster.path(kube.NETWORKPOLICIES), body)
    assert made["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "egress": [{"ports": [{"protocol": "TCP", "port": 443}]}]}
    body = {"metadata": {"name": "y"}, "spec": {"podSelector": {}}}
    assert cluster.admin.create(cluster.path(kube.NETWORKPOLICIES), body)["spec"]["policyTypes"] == ["Ingress"]


@pytest.mark.parametrize(
    "body",
    [
        {"metadata": {"name": "irkit_B"}, "spec": {}},
        {"metadata": {"name": "x" * 254}, "spec": {}},
        {"metadata": {}, "spec": {}},
        {"metadata": {"name": "x"}, "spec": {"policyTypes": ["Foo"]}},
        {"metadata": {"name": "x"}, "spec": {"podSelector": {"matchLabels": {"a": "!!"}}}},
        {"metadata": {"name": "x"}, "spec": {"podSelector": {"matchLabels": {"a": "b" * 64}}}},
        {"metadata": {"name": "x"}, "spec": {"podSelector": {"matchExpressions": [{"key": "a", "operator": "Nope"}]}}},
        {"metadata": {"name": "x"}, "spec": {"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}},
        {"metadata": {"name": "x", "labels": {"-b": "c"}}, "spec": {}},  # one a time: Go's maps have no order
        {"metadata": {"name": "x", "labels": {"a": "x" * 64}}, "spec": {}},
        {"metadata": {"name": "x", "labels": {"a/b/c": "d"}}, "spec": {}},
        {"metadata": {"name": "x"}, "spec": {"ingress": [{"from": [{}]}]}},
        {"metadata": {"name": "x"}, "spec": {"egress": [{"to": [{"ipBlock": {"cidr": "nope"}}]}]}},
    ],
)
def test_what_is_invalid_is_said_in_the_same_words(cluster: Cluster, body: Obj, request: pytest.FixtureRequest) -> None:
    reply = cluster.admin.send("POST", cluster.path(kube.NETWORKPOLICIES), body)
    assert (reply.status, reply.json["reason"]) == (422, "Invalid")
    assert [c["field"] for c in reply.json["details"]["causes"]]
    seen = request.config.stash.setdefault(_WORDS, {})
    key = request.node.name.replace("sandbox", "").replace("kubernetes", "")
    words = reply.json
    other = seen.setdefault(key, words)
    assert words == other


_WORDS = pytest.StashKey[dict[str, Obj]]()


def test_objects_of_another_kind_or_namespace_are_400(cluster: Cluster) -> None:
    path = cluster.path(kube.NETWORKPOLICIES)
    assert cluster.admin.send("POST", path, {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "x"}}).status == 400
    reply = cluster.admin.send("POST", path, {"metadata": {"name": "x", "namespace": "other"}, "spec": {}})
    assert (reply.status, reply.json["message"]) == (400, "the namespace of the provided object does not match the namespace sent on the request")
    reply = cluster.admin.send("POST", path, b"x", type="text/plain")
    assert (reply.status, reply.json["reason"]) == (415, "UnsupportedMediaType")
    tolerate("schema")
    tolerate("protobuf")


# the patch of the labels: uid and resourceVersion in the body


def relabel(pod: Obj, **meta: str) -> Obj:
    labels = {**dict.fromkeys(pod["metadata"]["labels"]), "quarantine": "true", "irkit.dev/incident": "k7q2"}
    return {"metadata": {"labels": labels, "uid": pod["metadata"]["uid"], "resourceVersion": pod["metadata"]["resourceVersion"], **meta}}


def test_labels_are_replaced_in_one_merge_patch(cluster: Cluster) -> None:
    cluster.pod("p", {"app": "web", "pod-template-hash": "abc"}, nodeName=cluster.nodes[0])
    pod = cluster.running("p")
    done = cluster.admin.patch(f"{cluster.path(kube.PODS, 'p')}?fieldManager=irkit", relabel(pod))
    assert done["metadata"]["labels"] == {"quarantine": "true", "irkit.dev/incident": "k7q2"}
    assert done["metadata"]["uid"] == pod["metadata"]["uid"]
    assert int(done["metadata"]["resourceVersion"]) > int(pod["metadata"]["resourceVersion"])
    owned = manager(done, "irkit")["f:metadata"]["f:labels"]
    assert {"f:quarantine", "f:irkit.dev/incident"} <= set(owned)
    assert "f:app" not in owned
    assert done["status"] == pod["status"]
    tolerate("defaulted-fields")


def test_a_stale_version_is_409(cluster: Cluster) -> None:
    cluster.pod("p", {"app": "web"}, nodeName=cluster.nodes[0])
    pod = cluster.running("p")
    cluster.admin.patch(cluster.path(kube.PODS, "p"), {"metadata": {"annotations": {"by": "somebody"}}})
    for query in ("", "?dryRun=All"):
        reply = cluster.admin.send("PATCH", cluster.path(kube.PODS, "p") + query, relabel(pod), type=MERGE)
        assert (reply.status, reply.json["reason"]) == (409, "Conflict")
        assert reply.json["message"] == f'Operation cannot be fulfilled on pods "p": {CONFLICT}'
        assert reply.json["details"] == {"name": "p", "kind": "pods"}


def test_another_object_of_the_same_name(cluster: Cluster) -> None:
    """A uid alone is judged by validation (422); with the version of the object it was read from, it is a conflict (409)."""
    cluster.pod("p", {"app": "web"}, nodeName=cluster.nodes[0])
    pod = cluster.running("p")
    path = cluster.path(kube.PODS, "p")
    reply = cluster.admin.send("PATCH", path, {"metadata": {"uid": "another"}}, type=MERGE)
    assert (reply.status, reply.json["reason"]) == (422, "Invalid")
    assert reply.json["message"] == 'Pod "p" is invalid: metadata.uid: Invalid value: "another": field is immutable'
    cause = {"reason": "FieldValueInvalid", "message": 'Invalid value: "another": field is immutable', "field": "metadata.uid"}
    assert reply.json["details"]["causes"] == [cause, cause]
    cluster.workload(kube.DEPLOYMENTS, "other", 0)
    reply = cluster.admin.send("PATCH", cluster.path(kube.DEPLOYMENTS, "other"), {"metadata": {"uid": "another"}}, type=MERGE)
    assert reply.json["details"]["causes"] == [cause, cause]
    stale = relabel(pod, uid="another", resourceVersion="1")
    assert cluster.admin.send("PATCH", path, stale, type=MERGE).status == 409
    current = relabel(pod, uid="another", resourceVersion=cluster.admin.get(path)["metadata"]["resourceVersion"])
    assert cluster.admin.send("PATCH", path, current, type=MERGE).status == 422


def test_a_patch_that_changes_nothing_keeps_the_version(cluster: Cluster) -> None:
    cluster.pod("p", {"app": "web"}, nodeName=cluster.nodes[0])
    pod = cluster.running("p")
    done = cluster.admin.patch(f"{cluster.path(kube.PODS, 'p')}?fieldManager=irkit", {"metadata": {"labels": {"app": "web"}}})
    assert done["metadata"]["resourceVersion"] == pod["metadata"]["resourceVersion"]


def test_patches_that_are_none(cluster: Cluster) -> None:
    cluster.pod("p", nodeName=cluster.nodes[0])
    path = cluster.path(kube.PODS, "p")
    reply = cluster.admin.send("PATCH", path, b"{nope", type=MERGE)
    assert (reply.status, reply.json["message"].partition(":")[0]) == (400, "error decoding patch")
    tolerate("json-error")
    assert cluster.admin.send("PATCH", path, {"a": 1}, type="application/json").status == 415
    reply = cluster.admin.send("PATCH", path, {"metadata": {"name": "q"}}, type=MERGE)
    assert (reply.status, reply.json["message"]) == (400, "the name of the object (q) does not match the name on the URL (p)")
    reply = cluster.admin.send("PATCH", path, {"spec": {"nodeName": "elsewhere"}}, type=MERGE)
    assert (reply.status, reply.json["reason"]) == (422, "Invalid")
    assert reply.json["message"].startswith('Pod "p" is invalid: spec: Forbidden: pod updates may not change fields other than')
    tolerate("immutable-pod")
    assert cluster.admin.send("PATCH", cluster.path(kube.PODS, "nope"), {}, type=MERGE).status == 404


def test_json_patch_and_strategic_merge_patch(cluster: Cluster) -> None:
    cluster.workload(kube.DEPLOYMENTS, "web", 0)
    path = cluster.path(kube.DEPLOYMENTS, "web")
    containers = [{"name": "side", "image": "side:1"}, {"name": "c", "image": "img:2"}]
    done = cluster.admin.patch(path, {"spec": {"template": {"spec": {"containers": containers}}}}, STRATEGIC)
    found = done["spec"]["template"]["spec"]["containers"]
    assert sorted((c["name"], c["image"]) for c in found) == [("c", "img:2"), ("side", "side:1")]
    gone = {"spec": {"template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}}}
    done = cluster.admin.patch(path, gone, STRATEGIC)
    assert [c["name"] for c in done["spec"]["template"]["spec"]["containers"]] == ["c"]
    operations = [{"op": "test", "path": "/spec/replicas", "value": 0}, {"op": "add", "path": "/metadata/annotations/x~1y", "value": "z"}]
    cluster.admin.patch(path, {"metadata": {"annotations": {"a": "b"}}})
    done = cluster.admin.patch(path, operations, JSON_PATCH)
    assert done["metadata"]["annotations"]["x/y"] == "z"
    reply = cluster.admin.send("PATCH", path, [{"op": "test", "path": "/spec/replicas", "value": 5}], type=JSON_PATCH)
    assert (reply.status, reply.json["message"]) == (422, "the server rejected our request due to an error in our request")


def lease(holder: str) -> Obj:
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {"holderIdentity": holder}}


def test_server_side_apply(cluster: Cluster) -> None:
    path = cluster.path(kube.LEASES, "l")
    assert cluster.admin.send("PATCH", path, lease("a"), type=APPLY).status == 422  # no field manager
    made = cluster.admin.send("PATCH", f"{path}?fieldManager=one", lease("a"), type=APPLY).ok(201)
    assert manager(made, "one") == {"f:spec": {"f:holderIdentity": {}}}
    assert made["metadata"]["managedFields"][0]["operation"] == "Apply"
    reply = cluster.admin.send("PATCH", f"{path}?fieldManager=two", lease("b"), type=APPLY)
    assert (reply.status, reply.json["reason"]) == (409, "Conflict")
    assert reply.json["message"] == 'Apply failed with 1 conflict: conflict with "one": .spec.holderIdentity'
    assert [c["field"] for c in reply.json["details"]["causes"]] == [".spec.holderIdentity"]
    done = cluster.admin.patch(f"{path}?fieldManager=two&force=true", lease("b"), APPLY)
    assert done["spec"]["holderIdentity"] == "b"
    assert {e["manager"] for e in done["metadata"]["managedFields"]} == {"two"}
    same = cluster.admin.patch(f"{path}?fieldManager=two", lease("b"), APPLY)
    assert same["metadata"]["resourceVersion"] == done["metadata"]["resourceVersion"]
    less = cluster.admin.patch(f"{path}?fieldManager=two", {**lease("b"), "spec": {}}, APPLY)
    assert less["spec"] == {}


def test_apply_of_a_pods_labels(cluster: Cluster) -> None:
    cluster.pod("p", {"app": "web"}, nodeName=cluster.nodes[0])
    cluster.running("p")
    path = cluster.path(kube.PODS, "p")

    def wish(labels: Obj) -> Obj:
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": labels}}

    reply = cluster.admin.send("PATCH", f"{path}?fieldManager=two", wish({"app": "db"}), type=APPLY)
    assert reply.json["message"] == 'Apply failed with 1 conflict: conflict with "irkit" using v1: .metadata.labels.app'
    tried = cluster.admin.patch(f"{path}?fieldManager=two&force=true&dryRun=All", wish({"app": "db"}), APPLY)
    assert tried["metadata"]["labels"] == {"app": "db"}
    done = cluster.admin.patch(f"{path}?fieldManager=two", wish({"app": "web", "tier": "x"}), APPLY)
    assert done["metadata"]["labels"] == {"app": "web", "tier": "x"}
    done = cluster.admin.patch(f"{path}?fieldManager=two", wish({}), APPLY)
    assert done["metadata"]["labels"] == {"app": "web"}  # irkit owns it, too


def test_apply_of_a_workload(cluster: Cluster) -> None:
    path = cluster.path(kube.DEPLOYMENTS, "web")

    def wish(image: str, **spec: object) -> Obj:
        template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image, "ports": [{"containerPort": 80}]}]}}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
                "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template, **spec}}  # fmt: skip

    cluster.admin.send("PATCH", f"{path}?fieldManager=one", wish("img:1", replicas=0), type=APPLY).ok(201)
    reply = cluster.admin.send("PATCH", f"{path}?fieldManager=two", wish("img:2"), type=APPLY)
    assert reply.json["message"] == 'Apply failed with 1 conflict: conflict with "one": .spec.template.spec.containers[name="c"].image'
    done = cluster.admin.patch(f"{path}?fieldManager=two&force=true", wish("img:2"), APPLY)
    (container,) = done["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["ports"]) == ("img:2", [{"containerPort": 80, "protocol": "TCP"}])
    assert done["spec"]["replicas"] == 0
    cluster.admin.patch(f"{path}/scale?fieldManager=irkit", {"spec": {"replicas": 1}})
    reply = cluster.admin.send("PATCH", f"{path}?fieldManager=one", wish("img:2", replicas=0), type=APPLY)
    assert reply.json["message"] == 'Apply failed with 1 conflict: conflict with "irkit" with subresource "scale" using apps/v1: .spec.replicas'


def test_many_at_once_are_deleted_by_selector(cluster: Cluster) -> None:
    maps = cluster.path(kube.CONFIGMAPS)
    for name, label in (("a", "x"), ("b", "x"), ("c", "y")):
        cluster.admin.create(maps, {"metadata": {"name": name, "labels": {"l": label}}})
    cluster.admin.send("DELETE", f"{maps}?labelSelector=l%3Dx").ok()
    assert [m["metadata"]["name"] for m in cluster.admin.get(f"{maps}?labelSelector=l")["items"]] == ["c"]


def test_status_is_written_through_its_subresource_alone(cluster: Cluster) -> None:
    cluster.pod("p", {"app": "web"}, nodeName=cluster.nodes[0])
    cluster.running("p")
    path = cluster.path(kube.PODS, "p")
    assert cluster.admin.patch(path, {"status": {"phase": "Failed"}})["status"]["phase"] == "Running"
    done = cluster.admin.patch(f"{path}/status?fieldManager=irkit", {"status": {"message": "seen"}, "metadata": {"labels": {"app": "db"}}})
    assert done["status"]["message"] == "seen"
    assert manager(done, "irkit", "status")["f:status"] == {"f:message": {}}


def test_an_update_takes_a_field_from_who_applied_it(cluster: Cluster) -> None:
    path = cluster.path(kube.LEASES, "l")
    cluster.admin.send("PATCH", f"{path}?fieldManager=one", lease("a"), type=APPLY).ok(201)
    done = cluster.admin.patch(f"{path}?fieldManager=irkit", {"spec": {"holderIdentity": "irkit", "renewTime": "2026-11-22T01:02:03.000000Z"}})
    assert manager(done, "irkit") == {"f:spec": {"f:holderIdentity": {}, "f:renewTime": {}}}
    assert done["spec"]["renewTime"] == "2026-11-22T01:02:03.000000Z"
    reply = cluster.admin.send("PATCH", f"{path}?fieldManager=one", lease("c"), type=APPLY)
    assert reply.json["message"] == ('Apply failed with 1 conflict: conflict with "irkit" using coordination.k8s.io/v1: .spec.holderIdentity')


def test_put(cluster: Cluster) -> None:
    path = cluster.path(kube.LEASES, "l")
    made = cluster.admin.create(f"{cluster.path(kube.LEASES)}?fieldManager=irkit", lease("a"))
    done = cluster.admin.send("PUT", path, {**made, "spec": {"holderIdentity": "b"}}).ok()
    assert done["spec"] == {"holderIdentity": "b"}
    assert cluster.admin.send("PUT", path, {**made, "spec": {"holderIdentity": "c"}}).status == 409


# delete


def test_delete_with_the_uid_as_precondition(cluster: Cluster) -> None:
    made = deny(cluster).ok(201)
    path, uid = cluster.path(kube.NETWORKPOLICIES, "irkit-k7q2"), made["metadata"]["uid"]
    reply = cluster.admin.send("DELETE", path, {"preconditions": {"uid": "another"}})
    assert (reply.status, reply.json["reason"]) == (409, "Conflict")
    assert reply.json["message"] == (
        f'Operation cannot be fulfilled on NetworkPolicy.networking.k8s.io "irkit-k7q2": the UID in the precondition (another) does not '
        f"match the UID in record ({uid}). The object might have been deleted and then recreated"
    )
    done = cluster.admin.send("DELETE", path, {"preconditions": {"uid": uid}}).ok()
    assert done["details"] == {"name": "irkit-k7q2", "group": "networking.k8s.io", "kind": "networkpolicies", "uid": uid}
    assert cluster.admin.send("DELETE", path, {"preconditions": {"uid": uid}}).status == 404


def test_a_pod_ends_gracefully(cluster: Cluster) -> None:
    cluster.pod("p", nodeName=cluster.nodes[0])
    uid = cluster.running("p")["metadata"]["uid"]
    ended = cluster.admin.send("DELETE", cluster.path(kube.PODS, "p"), {"preconditions": {"uid": uid}}).ok()
    assert ended["kind"] == "Pod"
    assert ended["metadata"]["deletionGracePeriodSeconds"] == 30
    assert ended["metadata"]["deletionTimestamp"] > ended["metadata"]["creationTimestamp"]
    assert ended["metadata"]["generation"] == 2
    until(lambda: cluster.admin.send("GET", cluster.path(kube.PODS, "p")).status == 404, "the pod is gone")
    tolerate("termination")


def test_a_finalizer_holds_an_object(cluster: Cluster) -> None:
    path = cluster.path(kube.CONFIGMAPS, "x")
    cluster.admin.create(cluster.path(kube.CONFIGMAPS), {"metadata": {"name": "x", "finalizers": ["example.com/hold"]}})
    cluster.admin.send("DELETE", path).ok()
    assert "deletionTimestamp" in cluster.admin.get(path)["metadata"]
    cluster.admin.patch(path, {"metadata": {"finalizers": None}})
    assert cluster.admin.send("GET", path).status == 404


def test_secrets_take_strings_and_give_base64(cluster: Cluster) -> None:
    made = cluster.admin.create(cluster.path(kube.SECRETS), {"metadata": {"name": "s"}, "stringData": {"a": "b"}})
    assert (made["data"], made["type"], "stringData" in made) == ({"a": "Yg=="}, "Opaque", False)
    held = {"metadata": {"name": "t"}, "data": {"a": "Yg=="}, "immutable": True}
    cluster.admin.create(cluster.path(kube.SECRETS), held)
    assert cluster.admin.send("PATCH", cluster.path(kube.SECRETS, "t"), {"data": {"a": "Yw=="}}, type=MERGE).status == 422
