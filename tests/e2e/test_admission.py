"""Admission policies of the cluster: what they demand is kept and said, what they forbid stops the run before it begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.controlplane.running import Running
from tests.e2e import world
from tests.e2e.running import Irkit, writes
from tests.e2e.world import Obj, name_of, owner, uid_of

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]

Demand = Callable[[str, str, str], None]
NEEDS_APP = "has(object.metadata.labels) && 'app' in object.metadata.labels"


@pytest.fixture
def demand(control_plane: Running, namespace: str) -> Iterator[Demand]:
    """``demand(resource, expression, message)``: from now on the namespace takes only such objects."""
    name = f"policy-{namespace[-6:]}"

    def begin(resource: str, expression: str, message: str) -> None:
        group = "networking.k8s.io" if resource == "networkpolicies" else ""
        rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": [resource]}
        match = {"resourceRules": [rule], "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
        spec: Obj = {"failurePolicy": "Fail", "matchConstraints": match, "validations": [{"expression": expression, "message": message}]}
        kind = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
        binding = {"policyName": name, "validationActions": ["Deny"]}
        control_plane.apply(
            {**kind, "kind": "ValidatingAdmissionPolicy", "spec": spec}, {**kind, "kind": "ValidatingAdmissionPolicyBinding", "spec": binding}
        )
        bad = world.policy("probe", namespace, {}, egress=[]) if group else world.bare("probe", namespace, labels={"other": "x"})
        until = time.monotonic() + 20
        while control_plane.kubectl("create", "--dry-run=server", "-f", "-", stdin=bad, check=False).returncode == 0:
            assert time.monotonic() < until, "the admission policy is not in force"
            time.sleep(0.1)

    yield begin
    control_plane.kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", name, "--ignore-not-found", "--wait=false")


def test_a_label_that_is_demanded_is_kept_and_said(control_plane: Running, namespace: str, irkit: Irkit, demand: Demand) -> None:
    suspect, _ = world.deployed(control_plane, namespace)
    control_plane.apply(world.policy("allow-web", namespace, {"matchLabels": {"app": "web"}}, egress=[{"ports": [{"port": 443}]}]))
    demand("pods", NEEDS_APP, "every pod needs the label app")
    answer = irkit.run("contain", name_of(suspect), "-n", namespace, "--yes").ended(5)
    assert "admission demands these labels, so they stay: app" in answer.stderr
    assert f"stays open: egress by {namespace}/allow-web: any address, TCP 443" in answer.stderr

    judged = irkit.json("verify", name_of(suspect), "-n", namespace, code=5)
    assert [(k["policy"], k["rule"]) for k in judged["isolation"]["leaks"]] == [(f"{namespace}/allow-web", 0)]
    assert {c["check"]: c["holds"] for c in judged["checks"]} == {"isolated": False, "stopped": True, "alive": True, "untampered": True}
    (left,) = control_plane.pods(namespace, count=1)
    assert (uid_of(left), owner(left), left["metadata"]["labels"]["app"]) == (uid_of(suspect), "", "web")
    assert set(left["metadata"]["labels"]) == {"app", "quarantine", "irkit.dev/incident"}


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet", "ReplicaSet"])
def test_a_pod_that_its_controller_never_lets_go_of_lives_on(control_plane: Running, namespace: str, irkit: Irkit, demand: Demand, kind: str) -> None:
    count = 3 if kind == "DaemonSet" else 2
    control_plane.apply(world.daemonset("web", namespace) if kind == "DaemonSet" else world.scaled(kind, "web", namespace))
    pods = control_plane.pods(namespace, count=count)
    before = control_plane.get(kind, "web", "-n", namespace)["spec"]
    demand("pods", NEEDS_APP, "every pod needs the label app")
    answer = irkit.run("contain", name_of(pods[0]), "-n", namespace, "--yes", "-o", "json").ended(8)
    done = answer.document
    step = next(s for s in done["steps"] if s["id"] == "stop-workload")
    assert f"{kind} {namespace}/web still selects Pod {namespace}/{name_of(pods[0])} and does not let go of it" in step["why"]
    assert (done["isolation"]["verdict"], done["evidence"]["missing"]) == ("isolated", [])
    time.sleep(1)  # for the controller to do harm, as it does to a pod without its revision label
    assert {uid_of(p) for p in control_plane.pods(namespace, count=count)} == {uid_of(p) for p in pods}
    assert control_plane.get(kind, "web", "-n", namespace)["spec"] == before
    irkit.run("verify", done["incident"]).ended(0)
    irkit.run("lift", done["incident"], "--pod", "return", "--yes").ended(0)
    after = {uid_of(p): p["metadata"]["labels"] for p in control_plane.pods(namespace, count=count)}
    assert after == {uid_of(p): p["metadata"]["labels"] for p in pods}


def test_a_denied_policy_stops_the_run_before_it_begins(control_plane: Running, namespace: str, irkit: Irkit, demand: Demand) -> None:
    suspect, _ = world.deployed(control_plane, namespace)
    demand("networkpolicies", "object.metadata.name.startsWith('team-')", "policies are made by the platform team")
    mark = control_plane.mark()
    answer = irkit.run("contain", name_of(suspect), "-n", namespace, "--yes", "-o", "json").ended(4)
    error = answer.document["error"]
    assert "policies are made by the platform team" in error["message"]
    assert "Nothing was changed" in error["message"]
    assert writes(control_plane.audit(mark, agent="irkit/")) == []
    assert not (irkit.home / "incidents").exists()
    irkit.run("contain", name_of(suspect), "-n", namespace, "--dry-run").ended(4)
