"""Rights that are taken away between the plan and its approval: whoever pressed the button is told, and nothing was done."""

from __future__ import annotations

from pathlib import Path

import pytest

from irkit import wiring
from irkit.model.kube import CLUSTERROLEBINDINGS, NETWORKPOLICIES, PODS, ObjectRef
from irkit.ports import Cluster
from tests.slack.people import BOB
from tests.slack.server import Server
from tests.slack.world import READS, World, said

EVERYTHING = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]


@pytest.mark.slow
def test_an_approved_plan_that_irkit_may_not_carry_out_any_more_changes_nothing_and_is_said(slack: Server, tmp_path: Path) -> None:
    with World(tmp_path, slack) as world:
        pod, admin = world.pods()[0], world.environment["KUBECONFIG"]
        world.becomes("reader", READS)
        world.becomes("nightshift", EVERYTHING)
        world.starts()
        world.people.types(f"contain {pod}")
        message = world.live("waits for approval")
        with wiring.cluster(wiring.settings(kubeconfig=admin)) as cluster:
            before = (cluster.get(ObjectRef(resource=PODS, name=pod, namespace="todo-app"))["metadata"]["labels"], policies(cluster))
            binding = cluster.get(ObjectRef(resource=CLUSTERROLEBINDINGS, name="reader"))
            group = {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "nightshift"}
            cluster.delete(ObjectRef(resource=CLUSTERROLEBINDINGS, name="nightshift"))
            cluster.patch(ObjectRef(resource=CLUSTERROLEBINDINGS, name="reader"), {"subjects": [*binding["subjects"], group]})
            world.people.presses(message, "irkit-approve", user=BOB)
            world.live("failed, exit code 4")
            after = (cluster.get(ObjectRef(resource=PODS, name=pod, namespace="todo-app"))["metadata"]["labels"], policies(cluster))
        assert "nightshift" in said(message)
        assert before == after
        (order,) = world.orders()
        assert [d["by"]["sender"] for d in order["status"]["decisions"]] == [BOB]


def policies(cluster: Cluster) -> list[str]:
    return sorted(p["metadata"]["name"] for p in cluster.list(NETWORKPOLICIES, "todo-app"))
