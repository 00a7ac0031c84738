"""Collections on a real control plane: what kubectl reads is what the bag holds, with no right but those that were declared."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from irkit import collectors
from irkit.adapters.kubernetes import KubernetesCluster, connect
from irkit.evidence.show import contents
from irkit.evidence.store import BagStore
from irkit.model.evidence import Artefact, Gap, Scope, SealedBag
from irkit.model.kube import DEPLOYMENTS, PODS, REPLICASETS, ObjectRef, Permission, controller_of, labels_of, ref_of
from irkit.settings import Settings
from tests.controlplane.running import Running, User
from tests.evidence.bags import accepted

pytestmark = pytest.mark.controlplane

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      initContainers: [{name: setup, image: x}]
      containers:
      - name: app
        image: x
        env: [{name: A, valueFrom: {secretKeyRef: {name: web-secret, key: password}}}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Secret
metadata: {name: web-secret}
stringData: {password: hunter2-hunter2}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {}}
"""
HOSTILE = [b"\x1b[2Jclear", b"nul \x00 and \xff\xfe", b"<script>", b"x" * 100_000, "ünï".encode()]


def connected(kubeconfig: Path) -> KubernetesCluster:
    return connect(Settings(kubeconfig=str(kubeconfig)), {})


def scope_of(plane: Running, pod: dict[str, Any], *, suspect: bool) -> Scope:
    owner = controller_of(pod) or {}
    namespace = pod["metadata"]["namespace"]
    deployment = plane.get("deployment", "web", "-n", namespace)
    owners = (ObjectRef(resource=REPLICASETS, name=owner["name"], namespace=namespace, uid=owner["uid"]), ref_of(deployment, DEPLOYMENTS))
    return Scope(pod=ref_of(pod, PODS), suspect=suspect, owners=owners, node=pod["spec"]["nodeName"], labels=labels_of(pod),
                 service_account=pod["spec"]["serviceAccountName"])  # fmt: skip


def bagged(home: Path, cluster: KubernetesCluster, scopes: list[Scope]) -> SealedBag:
    store = BagStore(home / "bags")
    writer = store.open(1)
    with ThreadPoolExecutor(16) as pool:
        for scope in scopes:
            for piece in collectors.collect(scope, collectors.NAMES, cluster, store.key):
                if isinstance(piece, Artefact):
                    pool.submit(writer.add, piece)
                else:
                    writer.gap(Gap(what=piece.what, why=piece.why, transient=piece.transient))
    bag = writer.seal({"External-Identifier": "incident-1"})
    accepted(Path(bag.path))
    return bag


def kubectl_logs(plane: Running, *arguments: str) -> bytes:
    """Bytes: what a container writes need not be text."""
    command = [str(plane.kubectl_program), f"--kubeconfig={plane.admin_kubeconfig}", "logs", *arguments]
    return subprocess.run(command, capture_output=True, check=True, timeout=30).stdout


@pytest.fixture
def pods(control_plane: Running, namespace: str) -> list[dict[str, Any]]:
    control_plane.apply(DEPLOYMENT, namespace=namespace)
    found = control_plane.pods(namespace, "app=web", count=2)
    for number, pod in enumerate(found):
        name = pod["metadata"]["name"]
        previous = {"app": [b"before %d" % number]} if number == 0 else {}
        control_plane.set_logs(namespace, name, {"app": [b"pod %d" % number, *HOSTILE], "setup": [b"ready"]}, previous)
    restarted = found[0]["status"] | {"containerStatuses": [{**found[0]["status"]["containerStatuses"][0], "restartCount": 1}]}
    name = found[0]["metadata"]["name"]
    control_plane.kubectl("patch", "pod", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", json.dumps({"status": restarted}))
    return found


def test_each_log_is_what_kubectl_gives(control_plane, namespace, pods, tmp_path):
    scopes = [scope_of(control_plane, pod, suspect=number == 0) for number, pod in enumerate(pods)]
    since = control_plane.mark()
    bag = bagged(tmp_path, connected(control_plane.admin_kubeconfig), scopes)
    sent = control_plane.audit(since, agent="irkit/")
    assert sent
    assert {event["verb"] for event in sent} <= {"get", "list"}
    data = Path(bag.path, "data")
    for number, pod in enumerate(pods):
        name = pod["metadata"]["name"]
        runs: list[tuple[str, str, list[str]]] = [("app", "current", []), ("setup", "current", [])]
        if number == 0:
            runs.append(("app", "previous", ["--previous"]))
        for container, run, flags in runs:
            expected = kubectl_logs(control_plane, name, "-c", container, "-n", namespace, "--timestamps", *flags)
            assert expected
            assert (data / "pods" / namespace / name / container / f"{run}.log").read_bytes() == expected
    assert bag.gaps == ()
    assert (data / "incident-pod.yaml").exists()
    assert b"hunter2" not in b"".join(p.read_bytes() for p in data.rglob("*") if p.is_file())
    moments = contents(Path(bag.path)).moments
    assert {"event", "container", "log"} == {moment.kind for moment in moments}


def test_the_declared_rights_are_enough(control_plane, namespace, pods, user, tmp_path):
    somebody = user(roles(collectors.permissions(collectors.NAMES, namespace), namespace))
    bag = bagged(tmp_path, connected(somebody.kubeconfig), [scope_of(control_plane, pod, suspect=n == 0) for n, pod in enumerate(pods)])
    assert bag.gaps == ()


def test_without_any_right_every_gap_has_its_reason(control_plane, namespace, pods, user: Callable[..., User], tmp_path):
    bag = bagged(tmp_path, connected(user().kubeconfig), [scope_of(control_plane, pods[0], suspect=True)])
    assert bag.artefacts == 0
    assert len(bag.gaps) > 8
    assert all(gap.why and not gap.transient for gap in bag.gaps)


def test_a_pod_that_is_not_there_any_more(control_plane, namespace, pods, tmp_path):
    scope = scope_of(control_plane, pods[0], suspect=True)
    control_plane.kubectl("delete", "pod", scope.pod.name, "-n", namespace, "--grace-period=0", "--force")
    bag = bagged(tmp_path, connected(control_plane.admin_kubeconfig), [scope])
    assert [gap.what for gap in bag.gaps] == [str(scope.pod)]
    assert b"Scheduled" in Path(bag.path, "data", "incident-events.txt").read_bytes()


def roles(permissions: tuple[Permission, ...], namespace: str) -> str:
    """A Role and a ClusterRole of just these permissions."""
    documents = []
    for place in {p.namespace for p in permissions}:
        rules = [{"apiGroups": [p.group], "resources": [f"{p.resource}/{p.subresource}" if p.subresource else p.resource], "verbs": [p.verb]}
                 for p in permissions if p.namespace == place]  # fmt: skip
        metadata = {"name": f"evidence-{namespace}", **({"namespace": place} if place else {})}
        kind = "Role" if place else "ClusterRole"
        documents.append(json.dumps({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, "rules": rules}))
    return "\n---\n".join(documents)
