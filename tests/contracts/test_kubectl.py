"""kubectl, unchanged, against the rehearsal cluster: what people try first."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from irkit.sandbox import Sandbox
from tests.contracts.client import until
from tests.controlplane import binaries

POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: quarantine, namespace: todo-app}
spec: {podSelector: {matchLabels: {quarantine: "true"}}, policyTypes: [Ingress, Egress]}
"""


@dataclass
class Kubectl:
    program: Path
    box: Sandbox
    home: Path

    def __call__(self, *arguments: str, stdin: str = "", kubeconfig: Path | None = None) -> str:
        done = self.run(*arguments, stdin=stdin, kubeconfig=kubeconfig)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout.decode(errors="replace")

    def run(self, *arguments: str, stdin: str = "", kubeconfig: Path | None = None) -> subprocess.CompletedProcess[bytes]:
        command = [str(self.program), f"--kubeconfig={kubeconfig or self.box.kubeconfig}", f"--cache-dir={self.home}/cache", *arguments]
        return subprocess.run(command, input=stdin.encode(), capture_output=True, timeout=30)

    @property
    def suspect(self) -> str:
        return self.box.suspect[1]


@pytest.fixture
def kubectl(tmp_path: Path) -> Iterator[Kubectl]:
    try:
        program = binaries.find("kubectl")
    except binaries.NotBuilt as missing:
        pytest.skip(str(missing))
    with Sandbox("todo-app", home=tmp_path) as box:
        yield Kubectl(program, box, tmp_path)


def test_get(kubectl: Kubectl) -> None:
    heading, *rows = kubectl("get", "pods", "-o", "wide").splitlines()
    assert heading.split()[:5] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert "NODE" in heading
    (row,) = [row for row in rows if row.startswith(kubectl.suspect)]
    assert row.split()[1:4] == ["1/1", "Running", "2"]
    assert "app=backend" in kubectl("get", "netpol")
    assert kubectl("get", "deploy", "backend").splitlines()[1].split()[:4] == ["backend", "3/3", "3", "3"]
    assert "postgres" in kubectl("get", "sts,svc,ing,secrets,endpointslices")
    assert "Ready" in kubectl("get", "nodes")
    assert kubectl("get", "pods", "-A", "-o", "name").count("pod/calico-node-") == 3
    assert json.loads(kubectl("get", "pods", "-l", "app=backend", "-o", "json"))["kind"] == "List"
    assert "SuspiciousActivity" in kubectl("get", "events")


def test_describe(kubectl: Kubectl) -> None:
    text = kubectl("describe", "pod", kubectl.suspect)
    assert "Controlled By:  ReplicaSet/backend-" in text
    assert "Restart Count:  2" in text
    assert "BackOff" in text
    assert "\x1b" not in text


def test_the_documented_procedure(kubectl: Kubectl) -> None:
    """Label and deny-all; then relabelled away from its controller, and the workload to nothing."""
    assert "created" in kubectl("apply", "-f", "-", stdin=POLICY)
    assert "unchanged" in kubectl("apply", "-f", "-", stdin=POLICY)
    assert "configured" in kubectl("apply", "-f", "-", stdin=POLICY.replace("[Ingress, Egress]", "[Egress]"))
    assert "labeled" in kubectl("label", "pod", kubectl.suspect, "quarantine=true")
    assert "unlabeled" in kubectl("label", "pod", kubectl.suspect, "app-")
    owners = f"-o=jsonpath={{.metadata.ownerReferences}}{{.metadata.labels.quarantine}}"  # noqa: F541
    until(lambda: kubectl("get", "pod", kubectl.suspect, owners) == "true", "the pod is detached")
    assert "scaled" in kubectl("scale", "deployment", "backend", "--replicas=0")
    kubectl("wait", "--for=delete", "pod", "-l", "app=backend", "--timeout=10s")
    assert kubectl("get", "pod", kubectl.suspect, "-o", "name").strip() == f"pod/{kubectl.suspect}"
    assert "deleted" in kubectl("delete", "netpol", "quarantine")
    assert "deleted" in kubectl("delete", "pod", kubectl.suspect)


def test_server_side_apply_and_dry_run(kubectl: Kubectl) -> None:
    assert "serverside-applied (server dry run)" in kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=POLICY)
    assert "NotFound" in kubectl.run("get", "netpol", "quarantine").stderr.decode()
    kubectl("apply", "--server-side", "-f", "-", stdin=POLICY)
    other = kubectl.run("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=POLICY.replace("[Ingress, Egress]", "[Egress]"))
    assert "conflict with" in other.stderr.decode()
    changed = POLICY.replace("[Ingress, Egress]", "[Ingress]")
    kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=other", "-f", "-", stdin=changed)
    assert "manager: other" in kubectl("get", "netpol", "quarantine", "-o", "yaml", "--show-managed-fields")


def test_logs(kubectl: Kubectl) -> None:
    now = kubectl.run("logs", kubectl.suspect).stdout
    assert b"\x1b[31mroot@backend" in now
    assert b"\x00" in now
    assert b"caf\xe9" in now
    assert kubectl.run("logs", kubectl.suspect, "--tail=3", "--timestamps").stdout.count(b"\n") == 3
    assert b"segmentation fault" in kubectl.run("logs", "--previous", kubectl.suspect).stdout
    sibling = next(p for p in kubectl("get", "pods", "-l", "app=backend", "-o", "name").split() if kubectl.suspect not in p)
    assert "previous terminated container" in kubectl.run("logs", "--previous", sibling).stderr.decode()


def test_auth(kubectl: Kubectl) -> None:
    assert kubectl("auth", "can-i", "patch", "pods").strip() == "yes"
    somebody = kubectl.box.token_for("mallory")
    assert kubectl.run("auth", "can-i", "patch", "pods", kubeconfig=somebody).stdout.strip() == b"no"
    assert "mallory" in kubectl("auth", "whoami", kubeconfig=somebody)
    refused = kubectl.run("get", "pods", kubeconfig=somebody).stderr.decode()
    assert 'User "mallory" cannot list resource "pods" in API group "" in the namespace "todo-app"' in refused


def test_create_and_rollout(kubectl: Kubectl) -> None:
    kubectl("annotate", "pod", kubectl.suspect, "a=b")
    assert "created" in kubectl("create", "secret", "generic", "s", "--from-literal=a=b")
    assert kubectl("get", "secret", "s", "-o=jsonpath={.data.a}") == "Yg=="
    assert "created" in kubectl("create", "configmap", "c", "--from-literal=a=b")
    assert "created" in kubectl("create", "namespace", "n")
    assert "deleted" in kubectl("delete", "namespace", "n")
    kubectl("set", "image", "deployment/backend", "backend=registry.example/todo/backend:1.4.3")
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/backend", "--timeout=10s")
    kubectl("rollout", "restart", "deployment/frontend")
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/frontend", "--timeout=10s")
    kubectl("cordon", "node-1")
    assert "SchedulingDisabled" in kubectl("get", "node", "node-1")
    kubectl("patch", "deployment", "backend", "--type=json", "-p", '[{"op":"replace","path":"/spec/replicas","value":1}]')
