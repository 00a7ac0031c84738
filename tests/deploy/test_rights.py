"""What the listener and each playbook may is what they need, and nothing besides."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import generate
from tests.controlplane.running import Obj
from tests.deploy.chart import LISTENER, NAMESPACE, Chart

Right = tuple[str, str, str, str]  # group, resource, verb, name


def rights(chart: Chart, user: str, namespace: str) -> set[Right]:
    """What the API server says that somebody may in a namespace (SelfSubjectRulesReview), without what everybody may."""
    return _may(chart, user, namespace) - _may(chart, "system:serviceaccount:default:nobody", namespace)


def _may(chart: Chart, user: str, namespace: str) -> set[Right]:
    review: Obj = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}}
    answer = chart.as_(user, "create", "--raw=/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", "-f", "-", stdin=review)
    status = json.loads(answer.text)["status"]
    assert not status["incomplete"]
    return of_rules(status["resourceRules"])


def of_rules(rules: list[Obj]) -> set[Right]:
    return {
        (group, resource, verb, name)
        for rule in rules for group in rule["apiGroups"] for resource in rule["resources"] for verb in rule["verbs"]
        for name in rule.get("resourceNames") or ("",)
    }  # fmt: skip


IDENTIFY = {("", "namespaces", "get", name) for name in (NAMESPACE, "kube-system")}


@pytest.mark.controlplane
def test_the_listener_takes_orders_and_starts_jobs_and_that_is_all(chart: Chart) -> None:
    inside = {("", "configmaps", verb, "") for verb in ("create", "delete", "get", "list", "patch")}
    inside |= {("batch", "jobs", verb, "") for verb in ("create", "list")}
    inside |= {("coordination.k8s.io", "leases", "create", "")}
    inside |= {("coordination.k8s.io", "leases", verb, "irkit-listener") for verb in ("get", "patch")}
    assert rights(chart, LISTENER, NAMESPACE) == inside | IDENTIFY
    for elsewhere in ("default", "kube-system"):
        assert rights(chart, LISTENER, elsewhere) == IDENTIFY
    reads = rights(chart, LISTENER, "shop") - IDENTIFY
    assert {verb for _, _, verb, _ in reads} == {"get", "list"}
    assert {resource for _, resource, _, _ in reads}.isdisjoint({"secrets", "configmaps", "pods/log", "pods/exec"})


@pytest.mark.controlplane
def test_the_listener_can_judge_a_pod_with_what_it_may_read(chart: Chart, tmp_path: Path) -> None:
    chart.plane.kubectl("create", "deployment", "web", "-n", "shop", "--image=web")
    pod = chart.plane.pods("shop", "app=web", count=1)[0]["metadata"]["name"]
    document = json.loads(chart.plane.admin_kubeconfig.read_text())
    document["users"][0]["user"]["as"] = LISTENER
    (tmp_path / "kubeconfig").write_text(json.dumps(document))
    environment = {**os.environ, "KUBECONFIG": str(tmp_path / "kubeconfig"), "IRKIT_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "irkit", "verify", pod, "-n", "shop", "-o", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 5, done.stderr
    assert json.loads(done.stdout)["isolation"]["verdict"] == "leaks"


@pytest.mark.controlplane
@pytest.mark.parametrize("playbook", ["collect-only", "compromised-pod"])
def test_a_playbook_has_its_least_rights_in_the_namespaces_that_were_named(chart: Chart, playbook: str) -> None:
    user, least = f"system:serviceaccount:{NAMESPACE}:irkit-{playbook}", json.loads(generate.RIGHTS.read_text())[playbook]
    everywhere = of_rules(least["outside"]) | IDENTIFY | {("authorization.k8s.io", "subjectaccessreviews", "create", "")}
    assert rights(chart, user, "shop") == of_rules(least["inside"]) | everywhere
    assert rights(chart, user, "default") == everywhere
    state = {("", "configmaps", verb, "") for verb in ("create", "get", "patch")}
    state |= {("coordination.k8s.io", "leases", verb, "") for verb in ("create", "get", "patch")}
    assert rights(chart, user, NAMESPACE) == everywhere | state | {("", "secrets", "get", "irkit-signing")}


def test_the_chart_has_the_rights_that_irkit_prints() -> None:
    assert generate.RIGHTS.read_text() == generate.playbook_rights(), "run make manifests"
