"""`irkit blast-radius` as a process of its own, on the rehearsal cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from irkit.model.kube import DEPLOYMENTS
from irkit.sandbox import Sandbox, catalog
from tests.e2e.running import Irkit

FIELDS = {"kind", "namespace", "name", "keys", "class", "why", "source", "age", "ageFrom", "changed", "sharedWith", "reasons"}


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(home=tmp_path_factory.mktemp("sandbox")) as box:
        yield box
        assert not box.problems


@pytest.fixture
def irkit(box: Sandbox, tmp_path: Path) -> Irkit:
    return Irkit(box.kubeconfig, tmp_path / "home", {k: v for k, v in box.environment.items() if k != "KUBECONFIG"})


def test_what_a_person_sees(box: Sandbox, irkit: Irkit) -> None:
    namespace, pod = box.suspect
    said = irkit.run("blast-radius", pod, "-n", namespace).ended(0).stdout
    lines = said.splitlines()
    assert lines[0] == f"Pod {namespace}/{pod}: 5 credentials could be reached"
    assert lines[-1] == f"  next:      irkit rotate {pod} -n {namespace}"
    assert "vault secret/prod/todo-app#GROQ_API_KEY" in said
    assert "also used by Deployment todo-app/mcp-server" in said
    assert "rbac: ServiceAccount todo-app/backend-sa → RoleBinding todo-app/backend-rolebinding → Role todo-app/backend-role → rule 1" in said


def test_the_document(box: Sandbox, irkit: Irkit) -> None:
    namespace, pod = box.suspect
    document = irkit.json("blast-radius", pod, "-n", namespace)
    assert set(document) == {"apiVersion", "kind", "target", "credentials", "missing", "next"}
    assert (document["kind"], document["target"]["name"], document["missing"]) == ("BlastRadius", pod, [])
    assert all(FIELDS <= set(c) <= FIELDS | {"expires"} for c in document["credentials"])
    classes = {(c["name"], *c["keys"]): c["class"] for c in document["credentials"]}
    assert classes == {
        ("backend-secret", "BETTER_AUTH_SECRET", "SECRET_KEY"): "generated", ("backend-secret", "GROQ_API_KEY"): "issuer-made",
        ("mcp-secret", "MCP_TOKEN"): "generated", ("postgres-secret", "APP_PASSWORD"): "database", ("backend-sa",): "token",
    }  # fmt: skip
    vendor = next(c for c in document["credentials"] if c["keys"] == ["GROQ_API_KEY"])
    assert vendor["source"]["properties"] == {"GROQ_API_KEY": "GROQ_API_KEY"}
    assert vendor["ageFrom"].startswith("Vault (")
    assert vendor["age"] is not None


def test_no_value_is_shown_and_nothing_is_written(box: Sandbox, irkit: Irkit) -> None:
    before = len(box.audit)
    answers = [irkit.run("blast-radius", "node/node-1", *form).ended(0) for form in ([], ["-o", "json"])]
    values = {v for s in box.store.all(catalog.SECRETS) for v in (s.get("data") or {}).values()}
    assert len(values) > 3
    assert not [v for v in values for a in answers if v in a.said]
    assert "canary" not in "".join(a.said for a in answers)
    asked = [e for e in box.audit[before:] if e["userAgent"].startswith("irkit/")]
    assert {e["verb"] for e in asked} <= {"get", "list", "create"}
    assert {e["objectRef"]["resource"] for e in asked if e["verb"] == "create"} <= {"selfsubjectreviews", "selfsubjectaccessreviews"}


def test_the_whole_node(box: Sandbox, irkit: Irkit) -> None:
    namespace, pod = box.suspect
    of_pod = irkit.json("blast-radius", pod, "-n", namespace, "--node")
    found = box.store.get(catalog.PODS, namespace, pod)
    assert found is not None
    node = found["spec"]["nodeName"]
    assert of_pod["target"]["kind"] == "Node"
    assert [c["name"] for c in of_pod["credentials"]] == [c["name"] for c in irkit.json("blast-radius", f"node/{node}")["credentials"]]
    assert {"kube-system", namespace} == {c["namespace"] for c in of_pod["credentials"]}


@pytest.mark.parametrize(("words", "code", "said"), [
    (["node/nodee-1"], 2, "did you mean node-1"), (["node/../x"], 2, "can't be the name of a node"),
    (["nope", "-n", "todo-app"], 2, "there is no pod nope"),
    (["-l", "app=none", "-n", "todo-app"], 2, "matches"), (["-l", "=x", "-n", "todo-app"], 2, "no label selector"), ([], 2, "name one target"),
    (["deployment/backend", "-n", "todo-app", "--node"], 2, "on 3 nodes: node-1, node-2, node-3; name one"),
    (["ingress/x", "-n", "todo-app"], 2, "no kind that can be contained"),
])  # fmt: skip
def test_what_can_not_be_looked_at(irkit: Irkit, words: list[str], code: int, said: str) -> None:
    assert said in irkit.run("blast-radius", *words).ended(code).stderr


def test_a_way_out_to_the_node_is_named(box: Sandbox, irkit: Irkit) -> None:
    spec = {"nodeName": "node-2", "containers": [{"name": "app", "image": "x", "securityContext": {"privileged": True}}]}
    box.store.add({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "privileged", "namespace": "todo-app"}, "spec": spec})
    said = irkit.run("blast-radius", "privileged", "-n", "todo-app").ended(0).stdout
    assert "  ! a privileged container: it could reach its node, and what all pods there could: irkit blast-radius node/node-2" in said


def test_of_what_may_not_be_read_the_gaps_are_told(box: Sandbox, irkit: Irkit) -> None:
    namespace, pod = box.suspect
    nobody = irkit.using(box.token_for("nobody"))
    nobody.run("blast-radius", pod, "-n", namespace).ended(4)
    role = {"kind": "Role", "apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "pods", "namespace": namespace},
            "rules": [{"apiGroups": ["", "apps"], "resources": ["pods", "replicasets", "deployments"], "verbs": ["get", "list"]}]}  # fmt: skip
    binding = {"kind": "RoleBinding", "apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "pods", "namespace": namespace},
               "roleRef": {"kind": "Role", "name": "pods", "apiGroup": "rbac.authorization.k8s.io"},
               "subjects": [{"kind": "User", "name": "reader", "apiGroup": "rbac.authorization.k8s.io"}]}  # fmt: skip
    box.store.add(role)
    box.store.add(binding)
    document = irkit.using(box.token_for("reader")).json("blast-radius", pod, "-n", namespace)
    assert {c["name"] for c in document["credentials"]} == {"backend-secret", "mcp-secret", "postgres-secret", "backend-sa"}
    assert {c["class"] for c in document["credentials"]} == {"manual", "token"}
    assert {"Secrets in namespace todo-app", "ClusterRoleBindings", "ClusterRoles"} <= {gap["what"] for gap in document["missing"]}


def test_a_workload_is_all_its_pods_and_without_any_its_template(box: Sandbox, irkit: Irkit) -> None:
    document = irkit.json("blast-radius", "deployment/backend", "-n", "todo-app")
    assert document["target"]["kind"] == "Deployment"
    assert len(document["credentials"]) == 5
    with_pods = [{**c, "reasons": []} for c in document["credentials"]]
    box.store.patch(DEPLOYMENTS, "backend", {"spec": {"replicas": 0}}, "todo-app")
    assert box.settle()
    idle = irkit.json("blast-radius", "deployment/backend", "-n", "todo-app")
    assert [{**c, "reasons": []} | {"age": 0} for c in idle["credentials"]] == [c | {"age": 0} for c in with_pods]
