"""Every built-in playbook, from its first step to its last on the rehearsal cluster: the laws, going on, what waits, what is lifted."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from irkit.adapters.kubernetes import connect
from irkit.app import lift as lifting
from irkit.app.going_on import resume
from irkit.app.respond import Request, respond
from irkit.engine import library, rights
from irkit.engine.events import Planned
from irkit.engine.home import Home
from irkit.errors import Declined, UsageError
from irkit.model.kube import DEPLOYMENTS, NETWORKPOLICIES, NODES, PODS, SECRETS, ObjectRef, at, labels_of
from irkit.settings import Settings
from tests.engine.harness import Bench, bench
from tests.engine.test_laws import GENERATED, again

# What each is run on; without a target, on the scenario's suspect.
RUNS: dict[str, dict[str, Any]] = {
    "compromised-pod": {},
    "isolate-only": {},
    "collect-only": {},
    "cryptominer": {},
    "leaked-secret": {"target": "backend-secret"},
    "database-credentials": {"target": "secret/postgres-secret"},
    "compromised-service-account": {"target": "sa/backend-sa"},
    "vulnerable-image": {"target": "deployment/backend"},
    "scheduled-rotation": {"target": None},
    "compromised-node": {"target": "node-1"},
}
IMAGE = f"registry.example/todo/backend@sha256:{'a' * 64}"
each = pytest.mark.parametrize("name", RUNS)


def run(b: Bench, name: str, *, secret: str = "gsk_new_vendor_key_for_tests", **changes: Any) -> Any:
    return respond(b.ports, _request(b, name, secret=secret, **changes))


def _request(b: Bench, name: str, *, secret: str = "gsk_new_vendor_key_for_tests", **changes: Any) -> Request:
    b.approver.secrets |= {"backend-secret/GROQ_API_KEY": secret}
    return b.request(**{"command": "respond", "playbook": name, "phase": "", **RUNS[name], **changes})


def test_every_playbook_is_run_here():
    assert {entry.name for entry in library.list_all(Settings())} == set(RUNS)


@each
@pytest.mark.parametrize("seed", [0, 7])
def test_law_1_a_second_run_writes_nothing(tmp_path, name, seed):
    with bench(tmp_path, seed=seed, rotation=GENERATED) as b:
        first = run(b, name)
        leaks = seed == 7 and name in ("compromised-pod", "isolate-only", "cryptominer")
        left = name == "compromised-node"  # the administrator's password of the database is nobody's but a human's
        assert first.exit_code == (5 if leaks or left else 0), (first.error, [s for s in first.steps if s.outcome == "failed"])
        assert [s.id for s in first.steps] == [s.id for s in library.find(name, Settings()).steps]
        assert again(b).changes == ()
        before = len(b.writes())
        second = resume(b.ports, first.incident)
        assert (second.incident, second.exit_code) == (first.incident, first.exit_code)
        assert left or second.evidence == first.evidence
        assert len(b.writes()) == before


@each
def test_law_2_a_dry_run_reads_only(tmp_path, name):
    with bench(tmp_path, rotation=GENERATED) as b:
        result = run(b, name, dry_run=True)
        assert result.outcome == "planned"
        assert result.next.startswith(f"irkit respond {name} ")
        assert b.writes() == []
        assert b.approver.asked == []


@each
def test_without_a_yes_nothing_is_changed(tmp_path, name):
    with bench(tmp_path, rotation=GENERATED) as b:
        b.approver.answers = (False,) * 20
        with suppress(Declined):  # asked before anything began; or step by step
            run(b, name)
        assert b.writes() == []


def test_without_an_image_all_else_is_done_and_the_same_command_with_one_does_the_rest(tmp_path):
    with bench(tmp_path, rotation=GENERATED) as b:
        namespace, pod = b.box.suspect
        first = run(b, "compromised-pod")
        assert first.exit_code == 0
        assert {s.id: s.outcome for s in first.steps if s.outcome == "skipped"} == {"redeploy": "skipped", "prove-recovery": "skipped"}
        assert first.next.startswith(f"irkit respond compromised-pod {pod} -n {namespace} -p image=")
        assert b.state().status == "open", "something is left to do"
        then = run(b, "compromised-pod", parameters={"image": IMAGE})
        assert then.incident == first.incident
        assert {s.id: s.outcome for s in then.steps if s.outcome == "skipped"} == {}
        backend = b.ports.cluster.get(ObjectRef(resource=DEPLOYMENTS, name="backend", namespace=namespace))
        assert at(backend, ("spec", "template", "spec", "containers"))[0]["image"] == IMAGE
        assert backend["spec"]["replicas"] == 3
        assert [c["outcome"] for c in then.credentials] == [c["outcome"] for c in first.credentials]


def test_contain_then_the_other_phases_are_one_incident(tmp_path):
    with bench(tmp_path, rotation=GENERATED) as b:
        contained = respond(b.ports, b.request())
        assert {s.phase for s in contained.steps} == {"containment"}
        looked = respond(b.ports, b.request(command="respond", phase="investigation"))
        assert looked.incident == contained.incident
        assert {s.phase for s in looked.steps} == {"containment", "investigation"}
        every = respond(b.ports, b.request(command="respond", phase=""))
        assert every.incident == contained.incident
        assert {s.phase for s in every.steps} == {"containment", "investigation", "eradication", "recovery", "post-mortem"}
        writes = len(b.writes())
        assert respond(b.ports, b.request()).incident == contained.incident
        assert len(b.writes()) == writes
        assert len(Home(b.home).ids()) == 1


def test_where_the_cut_fails_the_evidence_is_kept_and_nothing_is_stopped(tmp_path):
    with bench(tmp_path, rotation=GENERATED) as b:
        namespace, _ = b.box.suspect

        def foreign() -> None:  # somebody takes the policy's name while the question is open
            (planned,) = (e for e in b.events if isinstance(e, Planned))
            name = f"irkit-{planned.header.incident.short}"
            theirs = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name, "namespace": namespace},
                      "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}}  # fmt: skip
            b.ports.cluster.create(NETWORKPOLICIES, theirs)

        b.approver.before = {0: foreign}
        result = run(b, "compromised-pod")
        outcomes = {s.id: s.outcome for s in result.steps}
        assert outcomes["cut-network"] == "failed"
        assert outcomes["keep-evidence"] == "done"
        assert [outcomes[s] for s in ("stop-workload", "rotate-credentials", "redeploy")] == ["skipped"] * 3
        assert outcomes["how-did-they-get-in"] == "done"
        assert result.evidence.bundle
        assert b.ports.cluster.get(ObjectRef(resource=DEPLOYMENTS, name="backend", namespace=namespace))["spec"]["replicas"] == 3


def test_what_was_rotated_is_rotated_again_by_the_next_incident(tmp_path):
    with bench(tmp_path, rotation=GENERATED) as b:
        first = run(b, "leaked-secret")
        second = run(b, "leaked-secret", secret="gsk_another_vendor_key_for_tests")
        assert first.incident != second.incident
        assert {c["outcome"] for c in second.credentials} == {"rotated"}


def test_what_is_due_is_rotated_and_nothing_else(tmp_path):
    with bench(tmp_path, rotation={**GENERATED, "passwords": 3.0}) as b:
        result = run(b, "scheduled-rotation")
        assert result.exit_code == 0
        assert {c["class"] for c in result.credentials} <= {"generated", "database"}
        assert any(c["outcome"] == "rotated" for c in result.credentials)
        assert run(b, "scheduled-rotation").credentials == [], "what was rotated is not due"


@pytest.mark.parametrize("choice", ["keep", "return", "delete"])
def test_a_node_is_lifted(tmp_path, choice):
    with bench(tmp_path, rotation=GENERATED) as b:
        node = ObjectRef(resource=NODES, name="node-1")
        on_it = {p["metadata"]["uid"]: p for p in b.ports.cluster.list(PODS) if at(p, ("spec", "nodeName")) == "node-1"}
        run(b, "compromised-node")
        assert at(b.ports.cluster.get(node), ("spec", "unschedulable")) is True
        cut = {p["metadata"]["uid"]: p for p in b.ports.cluster.list(PODS) if labels_of(p).get("quarantine") == "true"}
        assert cut.keys() == {u for u, p in on_it.items() if p["metadata"]["namespace"] == "todo-app"}
        result = lifting.lift(b.ports, None, choice)
        b.box.settle()
        assert not at(b.ports.cluster.get(node), ("spec", "unschedulable"))
        left = {p["metadata"]["uid"] for p in b.ports.cluster.list(PODS) if labels_of(p).get("quarantine") == "true"}
        ours = [p for p in b.ports.cluster.list(NETWORKPOLICIES) if p["metadata"]["name"].startswith("irkit-")]
        if choice == "delete":
            assert (result.exit_code, left, ours) == (0, set(), [])
        else:
            assert left == cut.keys()
            assert ours
            assert result.exit_code == (0 if choice == "keep" else 5), "their controllers run others in their place"


@pytest.mark.parametrize(
    ("name", "target", "said"),
    [
        ("leaked-secret", None, "name one, as in secret/NAME"),
        ("leaked-secret", "backend-secrt", "did you mean backend-secret?"),
        ("leaked-secret", "configmap/backend-secret", "did you mean secret/backend-secret?"),
        ("leaked-secret", "Backend_Secret", "can't be the name of a Secret"),
        ("compromised-service-account", "backend", "did you mean backend-sa?"),
        ("compromised-node", "node-9", "did you mean node-"),
        ("compromised-node", "pod/node-1", "this playbook is about a Node"),
        ("scheduled-rotation", "todo-ap", "two namespaces are named"),
        ("compromised-pod", "node/node-1", "is no kind that can be contained"),
    ],
)
def test_a_target_that_is_none_is_said(tmp_path, name, target, said):
    with bench(tmp_path) as b, pytest.raises(UsageError, match=said):
        run(b, name, target=target)
    assert not (tmp_path / "home").exists()


def test_a_secret_that_was_deleted_and_is_still_used(tmp_path):
    with bench(tmp_path) as b:
        b.ports.cluster.delete(ObjectRef(resource=SECRETS, name="mcp-secret", namespace="todo-app"))
        with pytest.raises(UsageError, match="Deployment todo-app/mcp-server use it: it was deleted"):
            run(b, "leaked-secret", target="mcp-secret")


def test_a_node_that_is_gone_leaves_its_pods(tmp_path):
    with bench(tmp_path, rotation=GENERATED) as b:
        b.ports.cluster.delete(ObjectRef(resource=NODES, name="node-1"))
        result = run(b, "compromised-node", phase="containment")
        assert {s.id: s.outcome for s in result.steps}["cordon"] == "unchanged"
        assert result.target == {"kind": "Node", "namespace": "", "name": "node-1", "uid": ""}
        assert result.evidence.artefacts


@each
def test_the_printed_roles_are_enough(tmp_path, name):
    """As a user who has nothing but what `irkit playbook rbac` prints: it runs as for an administrator, with the same evidence."""
    with bench(tmp_path, rotation=GENERATED) as b:
        playbook = library.find(name, Settings())
        for role in rights.manifests(rights.least(playbook, "", "todo-app"), name, "todo-app"):
            b.box.store.add(role)
            b.box.store.add(_binding(role))
        mine = msgspec.structs.replace(b.ports.settings, kubeconfig=str(b.box.token_for("oncall")))
        cluster = connect(mine, {})
        try:
            ports = msgspec.structs.replace(b.ports, cluster=cluster, connection=cluster, settings=mine)
            result = respond(ports, _request(b, name))
            left = name == "compromised-node"
            assert result.exit_code == (5 if left else 0), (result.error, [(s.id, s.why) for s in result.steps if s.outcome == "failed"])
            assert result.evidence is None or result.evidence.missing == []
            assert result.steps
            if b.state().undone():
                assert lifting.lift(ports, None, "delete").exit_code == 0
        finally:
            cluster.close()
        refused = [e for e in b.box.audit if e["user"]["username"] == "oncall" and e["responseStatus"]["code"] == 403]
        asked = [f"{e['verb']} {e['requestURI']}" for e in refused]
        assert [a for a in asked if "/irkit-system" not in a] == []


@pytest.mark.parametrize("name", ["leaked-secret", "database-credentials"])
def test_the_vault_policy_of_the_reference_is_enough(tmp_path, name):
    found = re.search(r"^```hcl\n(.*?)^```$", (Path(__file__).parents[2] / "docs/reference/rbac.md").read_text(), re.MULTILINE | re.DOTALL)
    assert found
    with bench(tmp_path, rotation=GENERATED) as b:
        b.box.vault.write("sys/policies/acl/responder", {"policy": found[1]})
        assert run(b, name).exit_code == 0


def _binding(role: dict[str, Any]) -> dict[str, Any]:
    meta, kind = role["metadata"], role["kind"]
    return {"apiVersion": role["apiVersion"], "kind": f"{kind}Binding", "metadata": dict(meta),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": meta["name"]},
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "oncall"}]}  # fmt: skip
