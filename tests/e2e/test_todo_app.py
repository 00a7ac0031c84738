"""The documented app: what its documented quarantine leaves open, and what irkit does not. And leaks that irkit can't close yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import irkit.sandbox.scenarios
from tests.controlplane.running import Running
from tests.e2e import world
from tests.e2e.running import Irkit
from tests.e2e.world import name_of, uid_of

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]

MANIFESTS = Path(irkit.sandbox.scenarios.__file__).with_name("todo-app.yaml")
DOCUMENTED = world.policy("quarantine-deny-all", "todo-app", {"matchLabels": {"quarantine": "true"}}, ingress=[], egress=[])


@pytest.fixture
def app(control_plane: Running) -> Iterator[list[str]]:
    """The names of the documented app's backend pods."""
    control_plane.apply(MANIFESTS.read_text())
    yield sorted(name_of(p) for p in control_plane.pods("todo-app", "app=backend", count=3))
    control_plane.kubectl("delete", "namespace", "todo-app", "--wait=false")


def test_the_documented_quarantine_leaks_and_irkits_does_not(control_plane: Running, irkit: Irkit, app: list[str]) -> None:
    suspect = app[0]
    control_plane.kubectl("label", "pod", suspect, "-n", "todo-app", "quarantine=true")
    control_plane.apply(DOCUMENTED)

    judged = irkit.json("verify", suspect, "-n", "todo-app", code=5)
    assert judged["incident"] is None
    leaks = [(leak["direction"], leak["policy"], leak["rule"], leak["peer"], leak["ports"]) for leak in judged["isolation"]["leaks"]]
    policy = "todo-app/backend-network-policy"
    assert leaks == [
        ("ingress", policy, 0, "pods app=frontend", "TCP 8000"),
        ("egress", policy, 0, "pods app=postgres", "TCP 5432"),
        ("egress", policy, 1, "pods app=mcp-server", "TCP 8001"),
        ("egress", policy, 2, "any address", "TCP 443"),
    ]
    text = irkit.run("verify", suspect, "-n", "todo-app").ended(5)
    for _, _, _, peer, ports in leaks:
        assert f"{peer}, {ports}" in text.stdout

    done = irkit.json("contain", suspect, "-n", "todo-app", "--yes")
    assert (done["isolation"]["verdict"], done["isolation"]["leaks"]) == ("isolated", [])
    assert irkit.json("verify", suspect, "-n", "todo-app")["isolation"]["leaks"] == []
    names = {name_of(p) for p in control_plane.get("networkpolicies", "-n", "todo-app")["items"]}
    assert {"quarantine-deny-all", "backend-network-policy", "default-deny-all"} < names, "nobody's policy was touched"


def test_leaks_are_named_and_stop_nothing(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    suspect, sibling = world.deployed(control_plane, namespace)
    anyone = world.policy("allow-dns", namespace, {}, egress=[{}, {"ports": [{"protocol": "UDP", "port": 53}]}])
    others = {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["frontend"]}]}
    peer = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    control_plane.apply(anyone, world.policy("monitored", namespace, others, ingress=[{"from": peer, "ports": [{"port": 9090}]}]))

    answer = irkit.run("contain", name_of(suspect), "-n", namespace, "--yes", "-o", "json").ended(5)
    done = answer.document
    found = [(k["policy"], k["direction"], k["rule"], k["peer"], k["ports"]) for k in done["isolation"]["leaks"]]
    assert sorted(found, key=lambda k: (k[0], k[2])) == [
        (f"{namespace}/allow-dns", "egress", 0, "any address", "all ports"),
        (f"{namespace}/allow-dns", "egress", 1, "any address", "UDP 53"),
        (f"{namespace}/monitored", "ingress", 0, "namespace monitoring", "TCP 9090"),
    ]
    whys = {k["policy"].split("/")[1]: k["why"] for k in done["isolation"]["leaks"]}
    assert whys["allow-dns"] == "its empty selector matches every pod of the namespace"
    assert whys["monitored"] == "its selector `tier NotIn (frontend)` also matches a pod without the label tier"
    assert "verdict: LEAKS: 3 rules of 2 policies let traffic through" in answer.stderr
    assert done["outcome"] == "incomplete"

    steps = {s["id"]: s["outcome"] for s in done["steps"]}
    assert steps["keep-evidence"] == steps["stop-workload"] == "done"
    bag = Path(done["evidence"]["bundle"])
    assert (bag / "data/pods" / namespace / name_of(sibling) / "app/current.log").exists()
    assert control_plane.get("deployment", "web", "-n", namespace)["spec"]["replicas"] == 0
    assert [uid_of(p) for p in control_plane.pods(namespace, count=1)] == [uid_of(suspect)]
