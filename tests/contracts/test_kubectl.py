"""kubectl, unchanged, against the rehearsal cluster: what people try first."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from irkit.model import kube
from irkit.sandbox import Sandbox
from irkit.sandbox.logs import Line
from tests.contracts.client import until
from tests.controlplane.plugin import built

POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: quarantine, namespace: todo-app}
spec: {podSelector: {matchLabels: {quarantine: "true"}}, policyTypes: [Ingress, Egress]}
"""
BUDGET = """
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: frontend, namespace: todo-app}
spec: {minAvailable: 100%, selector: {matchLabels: {app: frontend}}}
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
    with Sandbox("todo-app", home=tmp_path) as box:
        yield Kubectl(built("kubectl"), box, tmp_path)


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


def test_rollout_undo(kubectl: Kubectl) -> None:
    old = kubectl("get", "deployment", "backend", "-o=jsonpath={.spec.template.spec.containers[0].image}")
    new = "registry.example/todo/backend@sha256:" + "9" * 64
    kubectl("set", "image", "deployment/backend", f"backend={new}")
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/backend", "--timeout=10s")
    found = kubectl("get", "pods", "-l", "app=backend", "-o=jsonpath={.items[*].status.containerStatuses[0].imageID}")
    assert set(found.split()) == {new}
    assert kubectl("rollout", "history", "deployment/backend").splitlines()[2].split()[0] == "1"
    assert "rolled back" in kubectl("rollout", "undo", "deployment/backend")
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/backend", "--timeout=10s")
    assert kubectl("get", "deployment", "backend", "-o=jsonpath={.spec.template.spec.containers[0].image}") == old
    kubectl("set", "image", "statefulset/postgres", "postgres=postgres:17-alpine")
    assert "roll out complete" in kubectl("rollout", "status", "statefulset/postgres", "--timeout=10s")
    kubectl("rollout", "undo", "statefulset/postgres")
    until(lambda: "postgres:16-alpine" in kubectl("get", "pod", "postgres-0", "-o=jsonpath={.spec.containers[0].image}"), "the old image is back")
    kubectl("set", "image", "-n", "kube-system", "daemonset/calico-node", "calico-node=docker.io/calico/node:v9")
    assert "successfully rolled out" in kubectl("rollout", "status", "-n", "kube-system", "daemonset/calico-node", "--timeout=10s")
    kubectl("rollout", "undo", "-n", "kube-system", "daemonset/calico-node")
    assert "successfully rolled out" in kubectl("rollout", "status", "-n", "kube-system", "daemonset/calico-node", "--timeout=10s")


def test_an_image_that_there_is_not(kubectl: Kubectl) -> None:
    bad = "registry.example/todo/frontend@sha256:" + "0" * 64
    kubectl.box.store.images.remove(bad)
    kubectl("patch", "deployment", "frontend", "-p", '{"spec": {"progressDeadlineSeconds": 1}}')
    kubectl("set", "image", "deployment/frontend", f"frontend={bad}")
    failed = kubectl.run("rollout", "status", "deployment/frontend", "--timeout=20s")
    assert b"exceeded its progress deadline" in failed.stderr
    rows = [row.split() for row in kubectl("get", "pods", "-l", "app=frontend").splitlines()[1:]]
    assert sorted({row[2] for row in rows}) == ["ErrImagePull", "Running"]
    (waiting,) = [row[0] for row in rows if row[2] == "ErrImagePull"]
    assert "Error: ErrImagePull" in kubectl("describe", "pod", waiting)
    assert b"is waiting to start" in kubectl.run("logs", waiting).stderr
    assert "rolled back" in kubectl("rollout", "undo", "deployment/frontend")
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/frontend", "--timeout=10s")


def test_tokens_and_external_secrets(kubectl: Kubectl) -> None:
    token = kubectl("create", "token", "backend-sa").strip()
    assert token.count(".") == 2
    somebody = kubectl.box.account("todo-app", "backend-sa")
    assert "system:serviceaccount:todo-app:backend-sa" in kubectl("auth", "whoami", kubeconfig=somebody)
    assert kubectl.run("auth", "can-i", "list", "configmaps", kubeconfig=somebody).stdout.strip() == b"yes"
    kubectl("delete", "serviceaccount", "backend-sa")
    assert b"Unauthorized" in kubectl.run("get", "configmaps", kubeconfig=somebody).stderr


def test_drain(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=BUDGET)
    (node,) = set(kubectl("get", "pods", "-l", "app=frontend", "-o=jsonpath={.items[0].spec.nodeName}").split())
    until(lambda: kubectl("get", "pdb", "frontend", "-o=jsonpath={.status.disruptionsAllowed}") == "0", "the budget is known")
    stuck = kubectl.run("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=2s")
    assert b"Cannot evict pod as it would violate the pod's disruption budget" in stuck.stderr
    assert "SchedulingDisabled" in kubectl("get", "node", node)
    kubectl("delete", "pdb", "frontend")
    assert "drained" in kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=20s")
    left = kubectl("get", "pods", "-A", f"--field-selector=spec.nodeName={node}", "-o=jsonpath={.items[*].metadata.ownerReferences[0].kind}")
    assert set(left.split()) == {"DaemonSet"}
    kubectl("uncordon", node)


def test_logs_are_followed(kubectl: Kubectl) -> None:
    command = [str(kubectl.program), f"--kubeconfig={kubectl.box.kubeconfig}", "logs", "--follow", "--tail=1", kubectl.suspect]
    pod = kubectl.box.store.find(kube.PODS, kubectl.suspect, "todo-app")
    assert pod is not None
    with subprocess.Popen(command, stdout=subprocess.PIPE) as following:
        assert following.stdout is not None
        assert following.stdout.readline()
        kubectl.box.logs.append(pod["metadata"]["uid"], "backend", Line(1, b"one more"))
        assert following.stdout.readline() == b"one more\n"
        kubectl("delete", "pod", kubectl.suspect)
        assert following.wait(10) == 0


def test_exec(kubectl: Kubectl) -> None:
    def inside(*command: str) -> str:
        return kubectl("exec", kubectl.suspect, "--", *command)

    assert inside("hostname").strip() == kubectl.suspect
    assert inside("id").startswith("uid=")
    assert "SECRET_KEY=" in inside("env")
    assert "etc" in inside("ls", "/").split()
    assert inside("sh", "-c", "cat /etc/hostname") == inside("cat", "/etc/hostname")
    assert "LISTEN" in inside("ss", "-tln")
    assert len(inside("ps").splitlines()) == 2
    assert inside("echo", "x" * 20000).strip() == "x" * 20000
    failed = kubectl.run("exec", kubectl.suspect, "--", "cat", "/no/such")
    assert (failed.returncode, failed.stderr.splitlines()[0]) == (1, b"cat: /no/such: No such file or directory")
    assert kubectl.run("exec", kubectl.suspect, "--", "sh", "-c", "rm -rf /").returncode == 127
    assert b"executable file not found" in kubectl.run("exec", kubectl.suspect, "--", "rm").stderr
    assert b"is not valid for pod" in kubectl.run("exec", kubectl.suspect, "-c", "nope", "--", "id").stderr
    reader = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "reader", "namespace": "todo-app"}}
    rules = [{"apiGroups": [""], "resources": ["pods", "pods/exec"], "verbs": ["get"]}]
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "mallory"}]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    kubectl.box.store.add({**reader, "kind": "Role", "rules": rules})
    kubectl.box.store.add({**reader, "kind": "RoleBinding", "roleRef": role, "subjects": subjects})
    refused = kubectl.run("exec", kubectl.suspect, "--", "id", kubeconfig=kubectl.box.token_for("mallory"))
    assert b'User "mallory" cannot create resource "pods/exec"' in refused.stderr
    assert kubectl.box.audit[-1]["objectRef"]["subresource"] == "exec"


@pytest.mark.parametrize(("given", "spec"), [
    (["--min-available=1"], {"minAvailable": 1}), (["--max-unavailable=50%"], {"maxUnavailable": "50%"}),
])  # fmt: skip
def test_a_budget_that_kubectl_makes(kubectl: Kubectl, given: list[str], spec: dict[str, object]) -> None:
    """It sends protobuf."""
    kubectl("create", "pdb", "mine", "-n", "todo-app", "--selector=app=frontend,tier notin (x,y)", *given)
    found = json.loads(kubectl("get", "pdb", "mine", "-n", "todo-app", "-o", "json"))["spec"]
    chosen = {"matchLabels": {"app": "frontend"}, "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["x", "y"]}]}
    assert found == {**spec, "selector": chosen}
