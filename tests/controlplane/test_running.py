"""The control plane does what other tests take for granted."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.controlplane.cluster import alive
from tests.controlplane.running import Running, User

pytestmark = pytest.mark.controlplane

ROLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: read-pods, namespace: NAMESPACE}
rules: [{apiGroups: [""], resources: [pods], verbs: [get, list]}]
"""


def deployment(name: str, replicas: int) -> dict[str, object]:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "app", "image": "localhost/app:1"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def test_pods_run_on_simulated_nodes_and_have_logs(control_plane: Running, namespace: str) -> None:
    control_plane.apply(deployment("web", 2), namespace=namespace)
    pod, other = (p["metadata"]["name"] for p in control_plane.pods(namespace, "app=web", count=2))
    lines = [b"one", b"\x1b[31mtwo", "drei ü".encode(), b"x" * 40_000]
    control_plane.set_logs(namespace, pod, {"app": lines}, previous={"app": [b"before"]})
    deadline = time.monotonic() + 10
    while (got := control_plane.kubectl("logs", pod, "-n", namespace, "-c", "app").stdout.encode()) != b"".join(x + b"\n" for x in lines):
        assert time.monotonic() < deadline, got[:200]
    assert control_plane.kubectl("logs", other, "-n", namespace).stdout.startswith("pods 0\npods 1\n")
    stamped = control_plane.kubectl("logs", pod, "-n", namespace, "--timestamps", "--previous").stdout
    assert stamped == "2026-01-01T00:00:00.000000000Z before\n"


def test_a_user_may_do_what_was_granted_and_nothing_else(control_plane: Running, namespace: str, user: Callable[..., User]) -> None:
    reader = user(ROLE.replace("NAMESPACE", namespace))
    assert control_plane.kubectl("get", "pods", "-n", namespace, kubeconfig=reader.kubeconfig).returncode == 0
    refused = control_plane.kubectl("get", "secrets", "-n", namespace, kubeconfig=reader.kubeconfig, check=False)
    assert "Forbidden" in refused.stderr
    assert f'User "{reader.name}"' in refused.stderr


def test_the_audit_log_has_what_was_sent_since_the_mark(control_plane: Running, namespace: str) -> None:
    control_plane.kubectl("create", "configmap", "before", "-n", namespace)
    mark = control_plane.mark()
    control_plane.kubectl("create", "configmap", "after", "-n", namespace, "--dry-run=server", "--field-manager=me")
    (event,) = [e for e in control_plane.audit(mark, agent="kubectl") if e["verb"] == "create"]
    assert event["objectRef"]["resource"] == "configmaps"
    assert "dryRun=All" in event["requestURI"]
    assert "fieldManager=me" in event["requestURI"]


def test_it_ends_with_the_test_run_that_is_killed(control_plane: Running) -> None:
    program = (
        "import sys, time, pathlib; from tests.controlplane.running import running\n"
        "with running(nodes=0) as plane: print(plane.home, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        home = Path(run.stdout.readline().strip())
        pids = [int(p.read_text()) for p in (home / "run").glob("*.pid")]
        assert len(pids) == 4
        run.kill()
    deadline = time.monotonic() + 5
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "still running"
        time.sleep(0.05)
