"""Who am I, what may I do, and what I am told when I may not."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from irkit.model import kube
from tests.contracts.client import MERGE, Api, until
from tests.contracts.conftest import Cluster

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
ROLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: responder, namespace: {namespace}}}
rules:
- {{apiGroups: [""], resources: [pods], verbs: [get, list, watch, patch]}}
- {{apiGroups: [""], resources: [pods/log], verbs: [get]}}
- {{apiGroups: [""], resources: [secrets], verbs: [get], resourceNames: [backend-secret]}}
- {{apiGroups: [networking.k8s.io], resources: [networkpolicies], verbs: [create, get, list]}}
- {{apiGroups: [apps], resources: ["*/scale"], verbs: [patch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: responder-{namespace}}}
rules:
- {{apiGroups: [""], resources: [nodes, namespaces], verbs: [get]}}
"""


def may(api: Api, verb: str, resource: str, *, group: str = "", namespace: str = "", subresource: str = "", name: str = "") -> bool:
    attributes = {"verb": verb, "resource": resource, "group": group, "namespace": namespace, "subresource": subresource, "name": name}
    answer = api.create(
        REVIEWS, {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
    )
    assert answer["kind"] == "SelfSubjectAccessReview"
    return bool(answer["status"]["allowed"])


def test_the_administrator(cluster: Cluster) -> None:
    assert may(cluster.admin, "patch", "pods", namespace=cluster.namespace)
    assert may(cluster.admin, "create", "nodes", subresource="proxy")
    user = cluster.admin.create(WHO, {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})["status"]["userInfo"]
    assert {"system:masters", "system:authenticated"} <= set(user["groups"])
    assert user["username"]


def test_somebody_may_what_the_role_says(cluster: Cluster) -> None:
    where = cluster.namespace
    name, api = cluster.user(ROLE.format(namespace=where))
    assert api.create(WHO, {})["status"]["userInfo"]["username"] == name
    asked: list[tuple[bool, dict[str, Any]]] = [
        (True, {"verb": "patch", "resource": "pods", "namespace": where}),
        (True, {"verb": "get", "resource": "pods", "namespace": where, "name": "any"}),
        (False, {"verb": "delete", "resource": "pods", "namespace": where}),
        (False, {"verb": "get", "resource": "pods", "namespace": "kube-system"}),
        (False, {"verb": "list", "resource": "pods"}),
        (True, {"verb": "get", "resource": "pods", "subresource": "log", "namespace": where}),
        (False, {"verb": "get", "resource": "pods", "subresource": "exec", "namespace": where}),
        (True, {"verb": "get", "resource": "secrets", "namespace": where, "name": "backend-secret"}),
        (False, {"verb": "get", "resource": "secrets", "namespace": where, "name": "other"}),
        (False, {"verb": "get", "resource": "secrets", "namespace": where}),
        (True, {"verb": "create", "resource": "networkpolicies", "group": "networking.k8s.io", "namespace": where}),
        (False, {"verb": "create", "resource": "networkpolicies", "namespace": where}),
        (True, {"verb": "patch", "resource": "deployments", "group": "apps", "subresource": "scale", "namespace": where}),
        (False, {"verb": "patch", "resource": "deployments", "group": "apps", "namespace": where}),
        (True, {"verb": "get", "resource": "nodes", "name": "n"}),
        (False, {"verb": "list", "resource": "nodes"}),
    ]
    for expected, attributes in asked:
        assert may(api, **attributes) is expected, attributes


def test_rights_hold_for_requests(cluster: Cluster) -> None:
    cluster.pod("p", {"a": "b"}, nodeName=cluster.nodes[0])
    cluster.running("p")
    _, api = cluster.user(ROLE.format(namespace=cluster.namespace))
    pods = cluster.path(kube.PODS)
    assert api.send("GET", f"{pods}/p").status == 200
    assert api.send("GET", f"{pods}?watch=true&timeoutSeconds=1").status == 200
    assert api.send("PATCH", f"{pods}/p", {"metadata": {"labels": {"c": "d"}}}, type=MERGE).status == 200
    assert api.send("GET", f"{pods}/p/log").status == 200
    assert api.send("DELETE", f"{pods}/p").status == 403
    assert api.send("GET", cluster.path(kube.SECRETS, "backend-secret")).status == 404
    assert api.send("GET", cluster.path(kube.SECRETS)).status == 403


# method, resource, name, subresource; verb, subject and resource as the message names them
REFUSALS = [
    ("GET", kube.PODS, None, "", "list", "pods", "pods"),
    ("GET", kube.PODS, "p", "", "get", 'pods "p"', "pods"),
    ("GET", kube.PODS, "p", "log", "get", 'pods "p"', "pods/log"),
    ("PATCH", kube.PODS, "p", "", "patch", 'pods "p"', "pods"),
    ("DELETE", kube.PODS, "p", "", "delete", 'pods "p"', "pods"),
    ("POST", kube.NETWORKPOLICIES, None, "", "create", "networkpolicies.networking.k8s.io", "networkpolicies"),
    ("PATCH", kube.DEPLOYMENTS, "d", "scale", "patch", 'deployments.apps "d"', "deployments/scale"),
    ("GET", kube.NODES, None, "", "list", "nodes", "nodes"),
    ("GET", kube.NODES, "n", "", "get", 'nodes "n"', "nodes"),
    ("POST", kube.NODES, "n", "proxy/checkpoint/a/b/c", "create", 'nodes "n"', "nodes/proxy"),
]


@pytest.mark.parametrize(("method", "resource", "name", "subresource", "verb", "subject", "what"), REFUSALS)
def test_a_refusal_names_user_verb_and_resource(
    cluster: Cluster, method: str, resource: kube.Resource, name: str | None, subresource: str, verb: str, subject: str, what: str
) -> None:
    user, api = cluster.user()
    body = {"metadata": {"name": "x"}} if method in ("POST", "PATCH") else None
    reply = api.send(method, cluster.path(resource, name, subresource), body, type=MERGE if method == "PATCH" else "application/json")
    where = f'in the namespace "{cluster.namespace}"' if resource.namespaced else "at the cluster scope"
    why = f'User "{user}" cannot {verb} resource "{what}" in API group "{resource.group}" {where}'
    details = {"name": name, "group": resource.group, "kind": resource.plural}
    assert reply.json == {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Forbidden", "code": 403,
                          "message": f"{subject} is forbidden: {why}", "details": {k: v for k, v in details.items() if v}}  # fmt: skip


def test_a_token_that_nobody_has(cluster: Cluster) -> None:
    stranger = Api(cluster.kubeconfig, cluster.scratch)
    stranger._headers["Authorization"] = "Bearer expired"
    reply = stranger.send("GET", cluster.path(kube.PODS))
    assert reply.json == {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "Unauthorized",
                          "reason": "Unauthorized", "code": 401}  # fmt: skip


# ServiceAccounts and their tokens


def account(cluster: Cluster, name: str = "robot") -> dict[str, Any]:
    """A ServiceAccount that may read pods, by a role that another is aggregated into."""
    made = cluster.admin.create(cluster.path(kube.SERVICEACCOUNTS), {"metadata": {"name": name}})
    where, rbac = cluster.namespace, "rbac.authorization.k8s.io"
    part: dict[str, Any] = {
        "metadata": {"name": f"part-{where}", "labels": {"of": where}},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}],
    }
    whole = {"metadata": {"name": f"whole-{where}"}, "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"of": where}}]}, "rules": []}
    for role in (part, whole):
        cluster.admin.create(kube.CLUSTERROLES.path(), role)
    binding = {"metadata": {"name": "robots"}, "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": f"whole-{where}"},
               "subjects": [{"kind": "Group", "apiGroup": rbac, "name": f"system:serviceaccounts:{where}"}]}  # fmt: skip
    cluster.admin.create(cluster.path(kube.ROLEBINDINGS), binding)
    return made


def bearer(cluster: Cluster, token: str) -> Api:
    api = Api(cluster.kubeconfig, cluster.scratch)
    api._headers["Authorization"] = f"Bearer {token}"
    return api


def request_token(cluster: Cluster, name: str = "robot", **spec: Any) -> dict[str, Any]:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    return cluster.admin.create(cluster.path(kube.SERVICEACCOUNTS, name, "token"), body)


def review(cluster: Cluster, token: str) -> dict[str, Any]:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    status: dict[str, Any] = cluster.admin.create("/apis/authentication.k8s.io/v1/tokenreviews", body)["status"]
    return status


def test_a_token_is_its_accounts(cluster: Cluster) -> None:
    made = account(cluster)
    name, where = f"system:serviceaccount:{cluster.namespace}:robot", cluster.namespace
    answer = request_token(cluster)
    assert (answer["kind"], answer["metadata"]["name"], answer["spec"]["expirationSeconds"]) == ("TokenRequest", "robot", 3600)
    assert answer["status"]["expirationTimestamp"].endswith("Z")
    token = answer["status"]["token"]
    assert token.count(".") == 2
    api = bearer(cluster, token)
    groups = {"system:serviceaccounts", f"system:serviceaccounts:{where}", "system:authenticated"}
    user = api.create(WHO, {})["status"]["userInfo"]
    assert (user["username"], user["uid"], set(user["groups"])) == (name, made["metadata"]["uid"], groups)
    status = review(cluster, token)
    assert (status["authenticated"], status["user"]["username"], set(status["user"]["groups"])) == (True, name, groups)
    until(lambda: api.send("GET", cluster.path(kube.PODS)).status == 200, "the aggregated role is filled")
    assert api.send("GET", cluster.path(kube.SECRETS)).status == 403
    asked: dict[str, Any] = {"user": name, "groups": sorted(groups), "resourceAttributes": {"verb": "list", "resource": "pods", "namespace": where}}
    other: dict[str, Any] = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": asked}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    assert cluster.admin.create(path, other)["status"]["allowed"] is True
    other["spec"] = {**asked, "resourceAttributes": {**asked["resourceAttributes"], "verb": "delete"}}
    assert cluster.admin.create(path, other)["status"]["allowed"] is False
    assert api.send("POST", path, other).status == 403  # only who may ask of others


@pytest.mark.slow
def test_a_token_ends_with_its_account(cluster: Cluster) -> None:
    account(cluster)
    token = request_token(cluster)["status"]["token"]
    api, path = bearer(cluster, token), cluster.path(kube.SERVICEACCOUNTS, "robot")
    assert api.send("POST", WHO, {}).status == 201
    cluster.admin.send("DELETE", path).ok()
    assert until(lambda: api.send("POST", WHO, {}).status == 401, "the token is refused", 30)
    status = review(cluster, token)
    assert (status.get("authenticated", False), status["user"]) == (False, {})
    assert "invalid" in status["error"]
    cluster.admin.create(cluster.path(kube.SERVICEACCOUNTS), {"metadata": {"name": "robot"}})
    assert api.send("POST", WHO, {}).status == 401  # another uid
    assert bearer(cluster, request_token(cluster)["status"]["token"]).send("POST", WHO, {}).status == 201
    assert cluster.admin.send("POST", cluster.path(kube.SERVICEACCOUNTS, "nobody", "token"), {"spec": {}}).status in (400, 404)


@pytest.mark.slow
def test_a_token_ends_with_its_pod(cluster: Cluster) -> None:
    account(cluster)
    pod = cluster.pod("p", {"a": "b"}, serviceAccountName="robot")
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": pod["metadata"]["uid"]}
    api = bearer(cluster, request_token(cluster, boundObjectRef=bound)["status"]["token"])
    assert api.send("POST", WHO, {}).status == 201
    cluster.admin.send("DELETE", cluster.path(kube.PODS, "p"), {"gracePeriodSeconds": 0}).ok()
    until(lambda: api.send("POST", WHO, {}).status == 401, "the token is refused", 30)


def test_a_token_that_is_too_short_lived(cluster: Cluster) -> None:
    account(cluster)
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 60}}
    reply = cluster.admin.send("POST", cluster.path(kube.SERVICEACCOUNTS, "robot", "token"), body)
    assert (reply.status, reply.json["details"]["causes"][0]["field"]) == (422, "spec.expirationSeconds")
    assert "may not specify a duration less than 10 minutes" in reply.json["message"]


@pytest.mark.slow
def test_a_token_in_a_secret_of_old(cluster: Cluster) -> None:
    made = account(cluster)
    annotations = {"kubernetes.io/service-account.name": "robot"}
    body = {"metadata": {"name": "old", "annotations": annotations}, "type": "kubernetes.io/service-account-token"}
    cluster.admin.create(cluster.path(kube.SECRETS), body)

    def filled() -> dict[str, str] | None:
        found: dict[str, Any] = cluster.admin.get(cluster.path(kube.SECRETS, "old"))
        return found["data"] if "token" in found.get("data", {}) else None

    data = until(filled, "the Secret has its token")
    assert set(data) == {"token", "ca.crt", "namespace"}
    assert (
        cluster.admin.get(cluster.path(kube.SECRETS, "old"))["metadata"]["annotations"]["kubernetes.io/service-account.uid"]
        == made["metadata"]["uid"]
    )
    api = bearer(cluster, base64.b64decode(data["token"]).decode())
    assert api.send("POST", WHO, {}).status == 201
    cluster.admin.send("DELETE", cluster.path(kube.SECRETS, "old")).ok()
    until(lambda: api.send("POST", WHO, {}).status == 401, "the token is refused", 30)
    cluster.admin.create(cluster.path(kube.SECRETS), body)
    api = bearer(cluster, base64.b64decode(until(filled, "another token")["token"]).decode())
    cluster.admin.send("DELETE", cluster.path(kube.SERVICEACCOUNTS, "robot")).ok()
    until(lambda: api.send("POST", WHO, {}).status == 401, "the token is refused", 30)
    until(lambda: cluster.admin.send("GET", cluster.path(kube.SECRETS, "old")).status == 404, "its Secret goes with it", 30)
