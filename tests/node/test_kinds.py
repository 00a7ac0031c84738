"""A suspect of each kind of workload outlives its workload: the same container, the same process, cut off."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.controlplane.running import Obj, Running
from tests.e2e.running import Irkit
from tests.node.app import busybox, connects, container_id, eventually, listening, lives_on

pytestmark = pytest.mark.node

LABELS = {"app": "web"}
TEMPLATE: Obj = {"metadata": {"labels": LABELS}, "spec": busybox("app", listening(8000))}
ONCE: Obj = {**TEMPLATE, "spec": TEMPLATE["spec"] | {"restartPolicy": "Never"}}
SELECTOR = {"matchLabels": LABELS}


@dataclass(frozen=True)
class Case:
    """A workload, and how many pods it has here."""

    group: str
    kind: str
    spec: Obj
    pods: int

    def object(self) -> Obj:
        return {"apiVersion": self.group, "kind": self.kind, "metadata": {"name": "web"}, "spec": self.spec}


CASES = (
    Case("apps/v1", "StatefulSet", {"replicas": 2, "serviceName": "web", "selector": SELECTOR, "template": TEMPLATE}, pods=2),
    Case("apps/v1", "DaemonSet", {"selector": SELECTOR, "template": TEMPLATE}, pods=1),
    Case("batch/v1", "Job", {"parallelism": 2, "completions": 2, "template": ONCE}, pods=2),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.kind))
def test_the_kept_container_runs_on_and_returns_to_its_workload(real_node: Running, node_namespace: str, irkit: Irkit, case: Case) -> None:
    peer: Obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "peer"}, "spec": busybox("peer", listening(8000))}
    real_node.apply(peer, case.object(), namespace=node_namespace)
    suspect = min(real_node.pods(node_namespace, "app=web", count=case.pods), key=lambda p: str(p["metadata"]["name"]))
    (peer,) = real_node.pods(node_namespace, "!app", count=1)
    assert connects(real_node, suspect, peer, 8000)
    assert container_id(suspect)

    contained = irkit.json("contain", suspect["metadata"]["name"], "-n", node_namespace, "--yes")
    assert all(check["holds"] for check in contained["checks"]), contained["checks"]
    assert eventually(lambda: not real_node.get("pods", "-n", node_namespace, "-l", "app=web")["items"], 5)
    assert lives_on(real_node, suspect)
    assert not connects(real_node, suspect, peer, 8000)
    assert not connects(real_node, peer, suspect, 8000)
    assert connects(real_node, peer, peer, 8000)

    irkit.json("lift", contained["incident"], "--pod", "return", "--yes")
    assert eventually(lambda: connects(real_node, suspect, peer, 8000))
    assert suspect["metadata"]["name"] in {p["metadata"]["name"] for p in real_node.pods(node_namespace, "app=web", count=case.pods)}
    assert lives_on(real_node, suspect)
