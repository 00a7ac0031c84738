"""The laws of design.md §3, over every step kind and every built-in playbook. A kind without a case fails."""

from __future__ import annotations

import ast
import base64
import re
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

import irkit
from irkit import steps
from irkit.app import lift as lifting
from irkit.app.going_on import resume
from irkit.app.respond import Request, respond
from irkit.engine import binder, journal, loader, planner
from irkit.engine.home import Home
from irkit.errors import RefusedError
from irkit.model.changes import Capture, Create
from irkit.model.incident import ClusterIdentity, Incident, Operator
from irkit.model.kube import DEPLOYMENTS, NETWORKPOLICIES, PODS, ObjectRef, labels_of
from irkit.model.outcome import Done
from irkit.model.plan import Plan, StepSpec
from irkit.model.playbook import Parameter
from irkit.model.record import Intent, Result
from irkit.network import deny, verdict
from irkit.ports import Observed
from irkit.sandbox import catalog
from irkit.steps.quarantine import Quarantine
from tests.engine.harness import Bench, Witness, bench

# One case a step kind: what a playbook would write. `collect` goes before what ends pods.
CASES: dict[str, dict[str, Any]] = {
    "quarantine": {"pod": "${pod}"},
    "quarantine-pods": {"pods": "${node.pods}"},
    "cordon": {"node": "${node}"},
    "collect": {"pods": "${pod.siblings}"},
    "scale-down": {"workload": "${pod.workload}"},
    "rotate": {"secrets": ("mcp-secret",)},
    "redeploy": {"workload": "${pod.workload}", "image": f"registry.example/todo/backend@sha256:{'a' * 64}"},
    "verify": {"pod": "${pod}"},
    "notify": {"message": "look at ${pod.name}", "to": ("security",)},
    "manual": {"instruction": "phone the owner of ${pod.namespace}"},
}
TARGETS = {"quarantine-pods": ("node", "node-1"), "cordon": ("node", "node-1")}  # what the case is about, where it is not the suspect
BEFORE = {"scale-down": ("quarantine", "collect"), "redeploy": ("quarantine", "collect", "scale-down"), "rotate": ("quarantine",),
          "verify": ("quarantine", "collect", "scale-down")}  # fmt: skip
GENERATED = {"classes": [{"class": "generated", "name": "*-secret"}]}  # settings: all of the app's Secrets are irkit's to make
CLOCKS = {("time", "time"), ("time", "sleep"), ("time", "monotonic"), ("datetime", "now"), ("datetime", "utcnow")}
KINDS = [kind.kind for kind in steps.KINDS]


def playbook_of(kind: str) -> str:
    """A playbook with this step, after those that it needs."""
    lines = ["apiVersion: irkit.dev/v1", "kind: Playbook", "metadata: {name: case, title: Case, severity: low, runbook: case.md}",
             "parameters: {%s: {type: %s, required: true}}" % (2 * TARGETS.get(kind, ("pod",))[:1]), "phases:", "  containment:"]  # fmt: skip
    for step in (*BEFORE.get(kind, ()), kind):
        given = "{" + ", ".join(f"{k}: {_yaml(v)}" for k, v in CASES[step].items()) + "}"
        lines.append(f"    - {{id: do-{step}, step: {step}, with: {given}}}")
    return "\n".join(lines) + "\n"


def _yaml(value: Any) -> str:
    return "[" + ", ".join(value) + "]" if isinstance(value, tuple) else f'"{value}"'


def case_of(b: Bench, tmp_path: Path, kind: str, **changes: Any) -> Request:
    """The request that runs the case of this kind."""
    return b.request(playbook=case_file(tmp_path, kind), phase="", target=TARGETS.get(kind, ("", b.box.suspect[1]))[1], **changes)


def case_file(tmp_path: Path, kind: str) -> str:
    folder = tmp_path / "playbooks"
    folder.mkdir()
    (folder / "case.md").write_text("# case\n")
    (folder / "case.yaml").write_text(playbook_of(kind))
    return str(folder / "case.yaml")


def again(b: Bench) -> Plan:
    """What would be planned now for the newest incident, as the same run would see it."""
    state = b.state()
    assert state.opened is not None
    playbook = loader.loads(state.opened.playbook_source.encode(), "x.yaml")
    bound = planner.bind_steps(playbook.of(state.incident.phase), playbook.target, state.incident)
    seen = Observed(cluster=b.ports.cluster, now=b.ports.clock.now(), settings=b.ports.settings, marks=state.marks, captured=state.captured,
                    run=state.runs[-1].run, begun=state.begun)  # fmt: skip
    return planner.plan_all(bound, state.incident, seen)


def test_every_kind_has_a_case():
    assert set(CASES) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_law_1_converge_apply_the_plan_and_the_plan_is_empty(tmp_path, kind):
    with bench(tmp_path, rotation=GENERATED) as b:
        result = respond(b.ports, case_of(b, tmp_path, kind))
        assert result.exit_code == 0, result
        assert b.events, "somebody is told what happens"
        assert again(b).changes == ()


@pytest.mark.parametrize("kind", KINDS)
def test_law_2_a_dry_run_reads_only(tmp_path, kind):
    with bench(tmp_path) as b:
        result = respond(b.ports, case_of(b, tmp_path, kind, dry_run=True))
        assert result.outcome == "planned"
        assert b.writes() == []
        assert not b.home.exists() or Home(b.home).ids() == []
        assert b.approver.asked == []
        assert b.notifier.messages == []


@pytest.mark.parametrize("kind", KINDS)
def test_law_3_intent_and_before_image_are_on_disk_before_the_write(tmp_path, kind):
    with bench(tmp_path, rotation=GENERATED) as b:
        seen: list[str] = []

        def before(verb: str, what: Any) -> None:
            home = Home(b.home)
            last = journal.read(home.journal(home.ids()[0])).lines[-1].body
            assert isinstance(last, Intent), "the line before a write is its intent"
            assert last.change.__struct_config__.tag in (verb, "rotate")  # a rotation is one change of several requests
            seen.append(verb)

        ports = msgspec.structs.replace(b.ports, cluster=Witness(b.ports.cluster, before, lambda *_: None))
        respond(ports, case_of(b, tmp_path, kind))
        intents = {line.body.call: line.body for line in b.lines() if isinstance(line.body, Intent)}
        results = {line.body.call for line in b.lines() if isinstance(line.body, Result)}
        assert results == intents.keys()
        written = [i.change for i in intents.values() if i.change.writes and i.change.__struct_config__.tag != "rotate"]
        assert len(seen) >= len(written), "more, where a patch met another writer and was sent again; a rotation may write elsewhere alone"
        for intent in intents.values():
            if hasattr(intent.change, "edits"):
                assert all(edit.before != edit.after for edit in intent.change.edits)


def test_law_4_nothing_ends_before_its_evidence_is_stored(tmp_path):
    with bench(tmp_path) as b:
        stopped_at: list[set[str]] = []

        def before(verb: str, what: Any) -> None:
            if verb == "patch" and isinstance(what, ObjectRef) and what.kind == "Deployment":
                stopped_at.append(set(b.state().captured))
                assert list((Home(b.home).directory(b.state().incident.id) / "bags").glob("1/manifest-sha256.txt")), "the bag is sealed by then"

        ports = msgspec.structs.replace(b.ports, cluster=Witness(b.ports.cluster, before, lambda *_: None))
        assert respond(ports, b.request()).exit_code == 0
        ended = {c.uid for i, _ in b.state().done() if hasattr(i.change, "edits") for c in i.change.ends}
        assert ended
        assert stopped_at
        assert ended <= stopped_at[0]


def test_law_4_a_plan_that_ends_pods_uncollected_is_refused_unless_a_human_says_why(tmp_path):
    with bench(tmp_path) as b:
        incident = incident_of(b)
        spec = StepSpec(id="stop", step="scale-down", phase="containment", arguments={"workload": "${pod.workload}"})
        seen = Observed(cluster=b.ports.cluster, now=b.ports.clock.now(), settings=b.ports.settings)
        bound = planner.bind_steps([spec], Parameter(name="pod", type="pod"), incident)
        with pytest.raises(RefusedError, match="before anything of them is collected"):
            planner.plan_all(bound, incident, seen)
        assert planner.plan_all(bound, incident, seen, waived=True).changes


def test_law_4_pods_that_come_after_the_collection_are_collected_before_they_end(tmp_path):
    with bench(tmp_path) as b:
        namespace, _ = b.box.suspect

        def a_new_one_comes() -> None:
            pods = b.ports.cluster.list(PODS, namespace, labels="app=backend")
            b.ports.cluster.delete(ObjectRef(resource=PODS, name=pods[0]["metadata"]["name"], namespace=namespace))
            b.box.settle()

        b.approver.before = {1: a_new_one_comes}  # question 1 is the one before the scale-down
        result = respond(b.ports, b.request(keep_workload=False))
        assert result.exit_code == 0
        audit = b.box.audit
        scaled = next(n for n, e in enumerate(audit) if e.get("objectRef", {}).get("subresource") == "scale" and "dryRun" not in e["requestURI"])
        read = {e["objectRef"]["name"] for e in audit[:scaled] if e.get("objectRef", {}).get("subresource") == "log"}
        captured = {i.change.pod.name for i, r in b.state().done() if isinstance(i.change, Capture) and isinstance(r, Done)}
        ended = {p.name for i, _ in b.state().done() if hasattr(i.change, "edits") for p in i.change.ends}
        assert ended <= captured
        assert ended <= read


def test_law_5_an_approval_binds_what_it_named(tmp_path):
    """Somebody scales the workload between the plan and the scale-down: that is another change, and is asked about as such."""
    with bench(tmp_path) as b:
        namespace, _ = b.box.suspect

        def scaled_by_another() -> None:
            ref = ObjectRef(resource=DEPLOYMENTS, name="backend", namespace=namespace)
            b.ports.cluster.patch(ref, {"spec": {"replicas": 5}}, subresource="scale")
            b.box.settle()

        b.approver.before = {1: scaled_by_another}
        result = respond(b.ports, b.request())
        assert result.exit_code == 0
        assert "3 → 0" in b.approver.asked[1]
        assert "5 → 0" in b.approver.asked[2]


def test_law_5_declining_the_second_question_leaves_the_workload_alone(tmp_path):
    with bench(tmp_path) as b:
        b.approver.answers = (True, False)
        result = respond(b.ports, b.request())
        assert result.exit_code == 3
        assert not [e for e in b.writes() if e.get("objectRef", {}).get("subresource") == "scale"]
        assert result.evidence is not None
        assert result.evidence.bundle, "the evidence is kept all the same"


@pytest.mark.parametrize("choice", ["keep", "return", "delete"])
def test_law_6_lift_restores_what_was_recorded(tmp_path, choice):
    with bench(tmp_path) as b:
        namespace, name = b.box.suspect
        pod, workload = suspect(b), b.ports.cluster.get(ObjectRef(resource=DEPLOYMENTS, name="backend", namespace=namespace))
        policies = [p["spec"] for p in b.ports.cluster.list(NETWORKPOLICIES, namespace)]
        respond(b.ports, b.request())
        result = lifting.lift(b.ports, None, choice)
        assert result.exit_code == 0, result
        b.box.settle()
        assert b.ports.cluster.get(ObjectRef(resource=DEPLOYMENTS, name="backend", namespace=namespace))["spec"] == workload["spec"]
        found = [p for p in b.ports.cluster.list(PODS, namespace) if p["metadata"]["name"] == name]
        if choice == "delete":
            assert found == []
        elif choice == "return":
            assert labels_of(found[0]) == labels_of(pod)
            assert (found[0]["metadata"].get("annotations") or {}) == (pod["metadata"].get("annotations") or {})
            assert found[0]["metadata"]["ownerReferences"][0]["uid"] == pod["metadata"]["ownerReferences"][0]["uid"]
        else:
            assert labels_of(found[0])["quarantine"] == "true"
        if choice != "keep":
            assert [p["spec"] for p in b.ports.cluster.list(NETWORKPOLICIES, namespace)] == policies


def test_law_6_what_others_changed_since_is_shown_and_left_alone(tmp_path):
    with bench(tmp_path) as b:
        namespace, _ = b.box.suspect
        ref = ObjectRef(resource=DEPLOYMENTS, name="backend", namespace=namespace)
        respond(b.ports, b.request())
        b.ports.cluster.patch(ref, {"spec": {"replicas": 1}}, subresource="scale")
        b.box.settle()
        result = lifting.lift(b.ports, None, "keep")
        assert result.exit_code == 5
        assert b.ports.cluster.get(ref)["spec"]["replicas"] == 1
        assert any("changed since by somebody else" in getattr(e, "text", "") for e in b.events)


def test_law_7_a_foreign_object_under_our_name_is_refused_not_overwritten(tmp_path):
    with bench(tmp_path) as b:
        incident = incident_of(b)
        ref = deny.policy_ref(incident)
        theirs = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": ref.name, "namespace": ref.namespace},
                  "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}}  # fmt: skip
        b.ports.cluster.create(NETWORKPOLICIES, theirs)
        step = Quarantine(pod=incident.target.pod)
        with pytest.raises(RefusedError, match="not irkit's"):
            list(step.plan(incident, Observed(cluster=b.ports.cluster, now=b.ports.clock.now(), settings=b.ports.settings)))
        assert b.ports.cluster.get(ref)["spec"]["ingress"] == [{}]


def test_law_7_every_write_carries_the_field_manager_and_every_created_object_the_incident(tmp_path):
    with bench(tmp_path) as b:
        respond(b.ports, b.request())
        lifting.lift(b.ports, None, "return")
        assert b.writes()
        for event in b.writes():
            assert event["verb"] == "delete" or "fieldManager=irkit" in event["requestURI"]
            assert re.fullmatch(r"irkit/\S+", event["userAgent"])
        for intent, _ in b.state().done():
            if isinstance(intent.change, Create):
                assert intent.change.ref.name.startswith("irkit-")
                assert labels_of(intent.change.object)["irkit.dev/incident"] == b.state().incident.short


def test_law_8_no_secret_leaves(tmp_path, capfd):
    with bench(tmp_path) as b:
        respond(b.ports, b.request())
        lifting.lift(b.ports, None, "return")
        values = [base64.b64decode(v) for s in b.box.store.all(catalog.SECRETS) for v in (s.get("data") or {}).values()]
        assert len(values) >= 5
        # what the application itself printed is raw evidence, and stays in its logs; everything else is ours
        logs = {"current.log", "previous.log", "incident-logs.txt"}
        written = b"".join(p.read_bytes() for p in b.home.rglob("*") if p.is_file() and p.name not in logs)
        written += repr(b.events).encode() + "".join(capfd.readouterr()).encode()
        for value in values:
            assert value not in written
            assert base64.b64encode(value) not in written


def test_law_9_one_invocation_one_id(tmp_path):
    with bench(tmp_path) as b:
        first = respond(b.ports, b.request())
        resume(b.ports, first.incident)
        resume(b.ports, first.incident)
        intents = [line.body for line in b.lines() if isinstance(line.body, Intent)]
        assert len({i.call for i in intents}) == len(intents)
        assert len({r.run for r in b.state().runs}) == 3


def test_law_10_time_is_a_port():
    """No wall clock and no sleep outside the adapters, the sandbox and the command line."""
    package = Path(irkit.__file__).parent
    guilty = []
    for path in package.rglob("*.py"):
        if path.relative_to(package).parts[0] in ("adapters", "sandbox", "cli", "__main__.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and (node.value.id, node.attr) in CLOCKS:
                guilty += [f"{path.relative_to(package)}:{node.lineno}"]
    assert guilty == []


@pytest.mark.parametrize("seed", [0, 7])
def test_law_11_at_no_instant_is_the_pod_more_open_than_before(tmp_path, seed):
    with bench(tmp_path, seed=seed) as b:
        namespace, name = b.box.suspect
        history: list[set[verdict.Leak]] = []

        def look(*_: Any) -> None:
            pod = next((p for p in b.box.store.all(catalog.PODS, namespace) if p["metadata"]["name"] == name), None)
            policies = b.box.store.all(catalog.NETWORKPOLICIES, namespace)
            history.append(set() if pod is None else {_bare(leak) for leak in verdict.judge(pod, policies)})

        look()
        ports = msgspec.structs.replace(b.ports, cluster=Witness(b.ports.cluster, look, look))
        respond(ports, b.request())
        for earlier, later in pairwise(history):
            assert later <= earlier
        closed = history[-1]
        history.clear()
        lifting.lift(ports, None, "return")
        assert history[0] == closed
        for earlier, later in pairwise(history):
            assert earlier <= later, "on the way back it opens, and never opens more than it was before"


def _bare(leak: verdict.Leak) -> verdict.Leak:
    return verdict.Leak(policy=leak.policy, direction=leak.direction, rule=leak.rule, peer=leak.peer, ports=leak.ports, why="")


def suspect(b: Bench) -> dict[str, Any]:
    namespace, name = b.box.suspect
    return b.ports.cluster.get(ObjectRef(resource=PODS, name=name, namespace=namespace))


def incident_of(b: Bench) -> Incident:
    """An incident that is bound, and not opened."""
    namespace, name = b.box.suspect
    with ThreadPoolExecutor(2):
        target = binder.bind(binder.parse(name), namespace, b.ports.cluster)
    return Incident(id="20261122T031502Z-backend-k7q2", opened="2026-11-22T03:15:02Z", operator=Operator(name="test"), playbook="case", target=target,
                    cluster=ClusterIdentity(context="c", server="s", uid="u"))  # fmt: skip
