"""`irkit serve` on a real API server, as a user who may do what docs/reference/serve.md says and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.controlplane.running import Obj, Running, User
from tests.web.desk import firing
from tests.web.test_serve import Place, place, started, until

RULES = """
apiVersion: irkit.dev/v1
kind: Rules
rules:
  - name: cut
    match: {source: alertmanager, severity: high}
    run: {command: contain}
    limits: {percent-of-workload: 40}
"""
READS = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
    {"apiGroups": ["apps"], "resources": ["replicasets", "deployments", "statefulsets", "daemonsets"], "verbs": ["get", "list"]},
    {"apiGroups": ["batch"], "resources": ["jobs", "cronjobs"], "verbs": ["get", "list"]},
]


def role(name: str, namespace: str, *rules: Obj) -> Obj:
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name, "namespace": namespace}, "rules": list(rules)}


@pytest.fixture
def irkit_system(control_plane: Running) -> Iterator[None]:
    """The namespace of the queue; gone again when this ends."""
    control_plane.kubectl("create", "namespace", "irkit-system")
    yield
    control_plane.kubectl("delete", "namespace", "irkit-system", "--timeout=60s")


@pytest.fixture
def here(tmp_path: Path, control_plane: Running, namespace: str, user: Callable[..., User], irkit_system: None) -> Place:
    identify: Obj = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "irkit-identify-web"}, "rules": [
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"], "resourceNames": ["irkit-system", "kube-system"]}]}  # fmt: skip
    queue = role("irkit-listener-web", "irkit-system",
                 {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "delete", "get", "list", "patch"]},
                 {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create", "get", "patch"]})  # fmt: skip
    listener = user("", identify, queue, role("reads", namespace, *READS))
    found = place(tmp_path, {"KUBECONFIG": str(listener.kubeconfig), "PATH": os.environ["PATH"]})
    found.settings(RULES)
    return found


@pytest.mark.controlplane
def test_alerts_become_orders_that_are_configmaps_within_limits_read_from_the_cluster(here: Place, control_plane: Running, namespace: str) -> None:
    control_plane.kubectl("create", "deployment", "backend", "--image=img:1", "--replicas=5", "-n", namespace)
    control_plane.kubectl("wait", "deployment/backend", "-n", namespace, "--for=condition=Available", "--timeout=60s")
    pods = json.loads(control_plane.kubectl("get", "pods", "-n", namespace, "-l", "app=backend", "-o", "json").stdout)["items"]
    names = [pod["metadata"]["name"] for pod in pods]
    with started(here) as serve:
        until(lambda: serve.ask("GET", "/readyz")[0] == 200)
        answers = [serve.ask("POST", "/hooks/alertmanager", firing(pod, namespace)) for pod in (names[0], names[0], *names[1:3])]
        assert [status for status, _ in answers] == [202, 200, 202, 200]
        assert answers[3][1]["ignored"] == f"3 of 5 pods of Deployment {namespace}/backend would be more than 40 %"
        orders = {answer["order"] for _, answer in answers[:3]}
        assert len(orders) == 2
        maps = control_plane.kubectl("get", "configmaps", "-n", "irkit-system", "-o", "name").stdout.split()
        assert {f"configmap/irkit-order-{order}" for order in orders} <= set(maps)
