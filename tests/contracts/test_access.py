"""Who am I, what may I do, and what I am told when I may not."""

from __future__ import annotations

from typing import Any

import pytest

from irkit.model import kube
from tests.contracts.client import MERGE, Api
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
