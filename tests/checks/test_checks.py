"""The posture checks: what holds, what doesn't, what is not known, and what was found."""

from __future__ import annotations

from typing import Any

import pytest

from irkit.checks import CHECKS, LATER, CheckResult, find
from irkit.errors import UsageError
from irkit.model.incident import Container
from irkit.model.kube import DAEMONSETS, NETWORKPOLICIES, REPLICASETS, Obj
from irkit.network.deny import deny_policy, quarantine_labels
from tests.workloads.world import World, controlled_by, deployed, incident, make, pod, ref, scaled, seen

CALICO = make(DAEMONSETS, "calico-node", namespace="kube-system", status={"desiredNumberScheduled": 1, "numberReady": 1})
FLANNEL = make(DAEMONSETS, "kube-flannel-ds", namespace="kube-flannel")


def judge(check: str, incident: Any, obj: Obj, world: World) -> CheckResult:
    result = find(check).judge(incident, ref(obj), seen(world))
    assert result.check == check
    return result


def quarantined(**more: Any) -> tuple[Any, Obj, Obj]:
    """An incident, its pod as quarantine left it, and its policy."""
    before = pod("backend-1", labels={"app": "backend", "pod-template-hash": "7c"}, uid="uid-suspect")
    opened = incident(before, **more)
    after = pod("backend-1", labels=quarantine_labels(opened), uid="uid-suspect")
    policy = deny_policy(opened)
    policy["metadata"]["uid"] = "uid-policy"
    return opened, after, policy


def test_checks_are_found_by_name():
    given: dict[str, dict[str, Any]] = {"image": {"images": {}}, "http": {"url": "http://x"}, "tcp": {"host": "x", "port": 1},
                                        "scanned": {"image": "x"}, "signed": {"image": "x"}, "in-git": {"image": "x"}}  # fmt: skip
    for name in (*(c.name for c in CHECKS), *LATER):
        assert find(name, given.get(name, {})).name == name
    with pytest.raises(UsageError, match="no check 'isolate'; did you mean 'isolated'"):
        find("isolate")


# isolated


def test_isolated_holds_after_quarantine():
    opened, suspect, policy = quarantined()
    result = judge("isolated", opened, suspect, World([suspect, policy, CALICO]))
    assert (result.holds, result.findings) == (True, ())
    assert result.summary == "isolated by policy in both directions; enforced by Calico; open connections: not cut by Calico"
    data = {k: result.data[k] for k in ("verdict", "enforcement", "connections")}
    assert data == {"verdict": "isolated", "enforcement": "enforced", "connections": "open"}
    assert not result.data["leaks"]


def test_isolated_does_not_hold_where_the_plugin_ignores_policies():
    opened, suspect, policy = quarantined()
    result = judge("isolated", opened, suspect, World([suspect, policy, FLANNEL]))
    assert (result.holds, result.data["verdict"], result.data["enforcement"]) == (False, "isolated", "none")


def test_each_leak_is_a_finding():
    opened, suspect, policy = quarantined()
    selector = {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["frontend"]}]}
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    spec = {"podSelector": selector, "policyTypes": ["Egress"], "egress": [{"to": [monitoring], "ports": [{"port": 9090}]}]}
    leaky = make(NETWORKPOLICIES, "allow-monitoring", spec=spec)
    result = judge("isolated", opened, suspect, World([suspect, policy, leaky, CALICO]))
    assert result.holds is False
    why = "its selector `tier NotIn (frontend)` also matches a pod without the label tier"
    assert result.findings == (f"egress: todo-app/allow-monitoring, rule 0 → namespace monitoring, TCP 9090 ({why})",)
    assert result.summary.startswith("LEAKS: 1 rule of 1 policy lets traffic through; ")


@pytest.mark.parametrize("there", [[], [pod("backend-1", uid="uid-of-another")]])
def test_the_verdict_of_a_pod_that_is_gone_or_was_replaced(there):
    opened, suspect, policy = quarantined()
    result = judge("isolated", opened, suspect, World([*there, policy, CALICO]))
    assert (result.holds, result.data["verdict"]) == (True, "gone")


@pytest.mark.parametrize("kind", ["Pod", "NetworkPolicy"])
def test_what_may_not_be_read_is_not_known(kind):
    opened, suspect, policy = quarantined()
    result = judge("isolated", opened, suspect, World([suspect, policy], forbidden={kind}))
    assert result.holds is None
    assert result.summary.startswith("not known whether Pod todo-app/backend-1 is cut off: you may not")


def test_an_unknown_plugin_does_not_keep_the_verdict_back():
    opened, suspect, policy = quarantined()
    for world in (World([suspect, policy], forbidden={"DaemonSet"}), World([suspect, policy], unserved={"DaemonSet"})):
        result = judge("isolated", opened, suspect, world)
        assert (result.holds, result.data["enforcement"], result.data["connections"]) == (True, "unknown", "unknown")
        assert "the network plugin is not known" in result.data["notes"][0]


# stopped


def test_stopped_holds_when_nothing_is_left_but_finished_and_detached_pods():
    deployment, revision, (suspect, other, last) = deployed("backend")
    deployment["spec"]["replicas"] = 0
    del suspect["metadata"]["ownerReferences"]
    other["status"]["phase"] = "Failed"
    opened = incident(suspect)
    running = judge("stopped", opened, deployment, World([deployment, revision, suspect, other, last]))
    assert (running.holds, running.findings) == (False, (f"Pod todo-app/{last['metadata']['name']} is still there",))
    assert running.summary == "Deployment todo-app/backend is stopped, but 1 pod of it is left, 0 ending"
    assert judge("stopped", opened, deployment, World([deployment, revision, suspect, other])).holds is True


def test_stopped_says_what_runs():
    deployment, revision, pods = deployed("backend")
    result = judge("stopped", incident(pods[0]), deployment, World([deployment, revision, *pods]))
    assert (result.holds, result.summary) == (False, "Deployment todo-app/backend is not stopped: 3 replicas, 3 pods")


def test_a_workload_that_is_gone_starts_nothing():
    deployment, _, pods = deployed("backend")
    assert judge("stopped", incident(pods[0]), deployment, World()).holds is True


def test_a_workload_that_may_not_be_read_is_not_known():
    deployment, _, pods = deployed("backend")
    result = judge("stopped", incident(pods[0]), deployment, World([deployment], forbidden={"ReplicaSet"}))
    assert result.holds is None


def test_a_bare_pod_is_stopped():
    bare = pod("bare")
    assert judge("stopped", incident(bare), bare, World([bare])).holds is True


# alive


def container(name: str = "app", restarts: int = 0, **state: Any) -> Obj:
    return {"name": name, "restartCount": restarts, "image": "app:1", "state": state or {"running": {}}}


def living(*statuses: Obj, phase: str = "Running", **meta: Any) -> tuple[Any, Obj]:
    suspect = pod("backend-1", phase=phase, **meta)
    suspect["status"]["containerStatuses"] = list(statuses)
    return incident(suspect, containers=(Container(name="app", restarts=2), Container(name="setup", kind="init"))), suspect


def test_alive_holds_while_the_very_pod_runs_as_it_did():
    opened, suspect = living(container(restarts=2))
    result = judge("alive", opened, suspect, World([suspect]))
    assert (result.holds, result.findings, result.data) == (True, (), {"phase": "Running", "restarts": {"app": 2}})


def test_a_restart_is_a_finding_for_its_memory_is_lost():
    opened, suspect = living(container(restarts=3))
    result = judge("alive", opened, suspect, World([suspect]))
    assert result.findings == (
        "container app restarted since the incident opened (2 → 3): its memory is lost, and its log before that run is overwritten",)  # fmt: skip
    assert result.summary == "Pod todo-app/backend-1 is alive, but not as it was"


def test_an_ended_and_an_added_container_are_findings():
    opened, suspect = living(container(restarts=2, terminated={"reason": "OOMKilled", "exitCode": 137}), container("debugger\x1b"))
    result = judge("alive", opened, suspect, World([suspect]))
    assert result.findings == (
        "container app has ended: OOMKilled, exit code 137", "container debugger\\x1b is new since the incident opened (image app:1)")  # fmt: skip


def test_an_init_container_is_expected_to_end():
    opened, suspect = living(container(restarts=2))
    suspect["status"]["initContainerStatuses"] = [container("setup", terminated={"exitCode": 0})]
    assert judge("alive", opened, suspect, World([suspect])).findings == ()


@pytest.mark.parametrize(("phase", "meta", "holds", "said"), [
    ("Failed", {}, False, "does not run: its phase is Failed"),
    ("Pending", {}, False, "does not run: its phase is Pending"),
    ("Running", {"deletionTimestamp": "2026-11-22T03:20:00Z"}, False, "is being deleted since 2026-11-22T03:20:00Z"),
])  # fmt: skip
def test_a_pod_that_ends_is_not_alive(phase, meta, holds, said):
    opened, suspect = living(container(restarts=2), phase=phase, **meta)
    result = judge("alive", opened, suspect, World([suspect]))
    assert (result.holds, result.summary) == (holds, f"Pod todo-app/backend-1 {said}")


def test_a_pod_that_is_gone_is_not_alive_unless_it_was_gone_before():
    opened, suspect = living(container())
    assert judge("alive", opened, suspect, World()).holds is False
    gone = incident(suspect, gone=True)
    assert judge("alive", gone, suspect, World()).holds is True
    assert judge("untampered", gone, suspect, World()).holds is True


# untampered


def test_untampered_holds_as_quarantine_left_it_however_the_server_writes_it():
    opened, suspect, policy = quarantined()
    assert judge("untampered", opened, suspect, World([suspect, policy])).holds is True
    policy["spec"] = {"podSelector": {**policy["spec"]["podSelector"], "matchExpressions": []}, "policyTypes": ["Egress", "Ingress"], "ingress": []}
    assert judge("untampered", opened, suspect, World([suspect, policy])).holds is True


def test_labels_that_admission_demands_may_stay_as_they_were():
    opened, suspect, policy = quarantined(kept_labels=("app",))
    suspect["metadata"]["labels"]["app"] = "backend"
    assert judge("untampered", opened, suspect, World([suspect, policy])).findings == ()
    suspect["metadata"]["labels"]["app"] = "frontend"
    assert judge("untampered", opened, suspect, World([suspect, policy])).findings == ("label app of the pod was changed to 'frontend'",)


def labelled_by(manager: str, label: str) -> list[Obj]:
    return [{"manager": "irkit", "time": "2026-11-22T03:15:04Z", "fieldsV1": {"f:metadata": {"f:labels": {"f:quarantine": {}}}}},
            {"manager": manager, "time": "2026-11-22T03:30:00Z", "fieldsV1": {"f:metadata": {"f:labels": {f"f:{label}": {}}}}}]  # fmt: skip


@pytest.mark.parametrize(("labels", "manager", "said"), [
    ({"app": "backend"}, ("kubectl-label", "app"), "label app=backend came back to the pod, by kubectl-label (2026-11-22T03:30:00Z)"),
    ({"tier": "x"}, ("curl\x1b", "tier"), "label tier=x was added to the pod, by curl\\x1b (2026-11-22T03:30:00Z)"),
    ({"quarantine": "false"}, ("curl", "quarantine"), "label quarantine of the pod is 'false', not 'true', by curl (2026-11-22T03:30:00Z)"),
    ({"quarantine": None}, ("curl", "else"), "label quarantine was removed from the pod; the last to write was curl (2026-11-22T03:30:00Z)"),
    ({"irkit.dev/incident": "other"}, ("irkit", "x"), "label irkit.dev/incident of the pod is 'other', not 'k7q2'"),
])  # fmt: skip
def test_a_changed_label_is_a_finding_that_names_who_did_it(labels, manager, said):
    opened, suspect, policy = quarantined()
    changed = {**suspect["metadata"]["labels"], **labels}
    suspect["metadata"]["labels"] = {k: v for k, v in changed.items() if v is not None}
    suspect["metadata"]["managedFields"] = labelled_by(*manager)
    result = judge("untampered", opened, suspect, World([suspect, policy]))
    assert (result.holds, result.findings) == (False, (said,))
    assert result.summary == "the quarantine was changed: 1 finding"


def test_adoption_is_a_finding():
    opened, suspect, policy = quarantined(owners=(ref(scaled_owner := scaled_set()),))
    for owner, word in ((scaled_owner, "was adopted again"), (scaled_set("thief"), "was adopted")):
        suspect["metadata"]["ownerReferences"] = [controlled_by(owner)]
        result = judge("untampered", opened, suspect, World([suspect, policy]))
        assert result.findings == (f"the pod {word} by ReplicaSet {owner['metadata']['name']}, which may delete it",)


def scaled_set(name: str = "backend-7c") -> Obj:
    return scaled(REPLICASETS, name)


@pytest.mark.parametrize(("spec", "said"), [
    ({"egress": [{}]}, "the spec of NetworkPolicy todo-app/irkit-k7q2 was changed"),
    ({"policyTypes": ["Ingress"]}, "the spec of NetworkPolicy todo-app/irkit-k7q2 was changed"),
    ({"podSelector": {}}, "the spec of NetworkPolicy todo-app/irkit-k7q2 was changed"),
])  # fmt: skip
def test_a_changed_policy_is_a_finding(spec, said):
    opened, suspect, policy = quarantined()
    policy["spec"] = {**policy["spec"], **spec}
    assert judge("untampered", opened, suspect, World([suspect, policy])).findings == (said,)


def test_a_policy_that_is_gone_going_or_relabelled_is_a_finding():
    opened, suspect, policy = quarantined()
    assert judge("untampered", opened, suspect, World([suspect])).findings == ("NetworkPolicy todo-app/irkit-k7q2 is gone",)
    policy["metadata"]["deletionTimestamp"] = "2026-11-22T03:20:00Z"
    assert judge("untampered", opened, suspect, World([suspect, policy])).findings == ("NetworkPolicy todo-app/irkit-k7q2 is being deleted",)
    del policy["metadata"]["deletionTimestamp"]
    policy["metadata"]["labels"] = {"irkit.dev/incident": "k7q2"}
    found = judge("untampered", opened, suspect, World([suspect, policy])).findings
    assert found == ("label app.kubernetes.io/managed-by of NetworkPolicy todo-app/irkit-k7q2 was changed",)


def test_a_pod_that_died_since_leaves_nothing_to_compare():
    opened, suspect, policy = quarantined()
    assert judge("untampered", opened, suspect, World([policy])).holds is None


@pytest.mark.parametrize("check", ["alive", "untampered"])
def test_a_pod_that_may_not_be_read_is_not_known(check):
    opened, suspect, policy = quarantined()
    assert judge(check, opened, suspect, World([suspect, policy], forbidden={"Pod"})).holds is None
