"""What a TARGET stands for: a pod that is gone, one that never was, several, one that is elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.controlplane.plugin import fresh_namespace
from tests.controlplane.running import Running
from tests.e2e import world
from tests.e2e.running import Irkit, writes
from tests.e2e.world import name_of, uid_of

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]


def test_a_pod_that_is_gone_opens_an_incident_on_its_owner(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    gone = name_of(world.deployed(control_plane, namespace, 3)[0])
    control_plane.kubectl("delete", "pod", gone, "-n", namespace, "--grace-period=0", "--force")
    left = control_plane.pods(namespace, count=3)
    answer = irkit.run("contain", gone, "-n", namespace, "--yes", "-o", "json").ended(0)
    done = answer.document
    assert done["isolation"]["verdict"] == "gone"
    assert "verdict: gone" in answer.stderr
    assert done["target"]["name"] == gone
    assert control_plane.get("deployment", "web", "-n", namespace)["spec"]["replicas"] == 0
    assert control_plane.get("networkpolicies", "-n", namespace)["items"] == []
    bag = Path(done["evidence"]["bundle"])
    for pod in left:
        assert (bag / "data/pods" / namespace / name_of(pod) / "app/current.log").exists()
    assert irkit.json("verify", done["incident"])["isolation"]["verdict"] == "gone"
    assert irkit.json("lift", done["incident"], "--yes")["outcome"] == "lifted"
    control_plane.pods(namespace, count=3)


def test_a_bare_pod_that_is_gone_is_known_by_its_events(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    control_plane.apply(world.bare("solo", namespace))
    (pod,) = control_plane.pods(namespace, count=1)
    control_plane.kubectl("delete", "pod", "solo", "-n", namespace, "--grace-period=0", "--force")
    done = irkit.json("contain", "solo", "-n", namespace, "--yes")
    assert (done["isolation"]["verdict"], done["target"]["uid"]) == ("gone", uid_of(pod))


def test_an_unknown_name_is_a_mistake(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    control_plane.apply(world.bare("checkout", namespace), world.bare("catalog", namespace))
    control_plane.pods(namespace, count=2)
    mark = control_plane.mark()
    answer = irkit.run("contain", "chekout", "-n", namespace, "--yes").ended(2)
    assert f"there is no pod chekout in namespace {namespace}; did you mean checkout" in answer.stderr
    for word, complaint in (
        ("x" * 300, "at most 253 characters"),
        ("a\x1b[31mb", "can't be the name of a Pod"),
        ("node/x", "no kind that can be contained"),
    ):
        answer = irkit.run("contain", word, "-n", namespace, "--yes").ended(2)
        assert complaint in answer.stderr
        assert "\x1b" not in answer.stderr
    assert writes(control_plane.audit(mark, agent="irkit/")) == []
    assert not (irkit.home / "incidents").exists()


def test_several_pods_are_listed_and_none_is_touched(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    names = [name_of(p) for p in world.deployed(control_plane, namespace)]
    mark = control_plane.mark()
    for target in (["deployment/web"], ["-l", "app=web"], ["deploy/web"]):
        answer = irkit.run("contain", *target, "-n", namespace, "--yes").ended(2)
        assert "is 2 pods; name one of them" in answer.stderr
        assert all(f"  {name}\n" in answer.stderr for name in names)
    assert writes(control_plane.audit(mark, agent="irkit/")) == []
    control_plane.kubectl("scale", "deployment", "web", "-n", namespace, "--replicas=1")
    (only,) = control_plane.pods(namespace, count=1)
    assert irkit.json("contain", "deploy/web", "-n", namespace, "--yes")["target"]["uid"] == uid_of(only)


def test_a_pod_of_another_namespace_is_only_offered(control_plane: Running, namespace: str, irkit: Irkit, request: pytest.FixtureRequest) -> None:
    with fresh_namespace(control_plane, "elsewhere") as other:
        control_plane.apply(world.bare("checkout", other))
        control_plane.pods(other, count=1)
        mark = control_plane.mark()
        answer = irkit.run("contain", "checkout", "-n", namespace, "--yes").ended(2)
        assert f"there is no pod checkout in namespace {namespace}; it is in {other}" in answer.stderr
        assert f"next:   the same command with -n {other}" in answer.stderr
        assert writes(control_plane.audit(mark, agent="irkit/")) == []


def test_a_pod_that_was_only_isolated_is_contained_with_the_workload_it_came_from(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    suspect, sibling = world.deployed(control_plane, namespace)
    first = irkit.json("respond", "isolate-only", name_of(suspect), "-n", namespace, "--yes")
    assert control_plane.get("deployment", "web", "-n", namespace)["spec"]["replicas"] == 2
    second = irkit.json("contain", name_of(suspect), "-n", namespace, "--yes")
    assert second["incident"] != first["incident"]
    assert control_plane.get("deployment", "web", "-n", namespace)["spec"]["replicas"] == 0
    assert (Path(second["evidence"]["bundle"]) / "data/pods" / namespace / name_of(sibling) / "app/current.log").exists()
    for incident in (second, first):  # the newest first
        irkit.json("lift", incident["incident"], "--pod", "return", "--yes")
    back = {uid_of(p): p["metadata"]["labels"] for p in control_plane.pods(namespace, count=2)}
    assert back[uid_of(suspect)] == suspect["metadata"]["labels"]
    assert control_plane.get("networkpolicies", "-n", namespace)["items"] == []


def test_a_selector_and_the_context_s_namespace_do_as_well(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    control_plane.apply(world.bare("solo", namespace))
    (pod,) = control_plane.pods(namespace, count=1)
    config = json.loads(control_plane.admin_kubeconfig.read_text())
    context = config["contexts"][0]
    config["contexts"].append({"name": "there", "context": {**context["context"], "namespace": namespace}})
    path = control_plane.admin_kubeconfig.with_name(f"{namespace}.kubeconfig")
    path.write_text(json.dumps(config))
    other = irkit.using(path)
    assert "there is no pod solo in namespace default" in other.run("contain", "solo", "--yes").ended(2).stderr
    done = other.json("contain", "-l", "app=web", "--context", "there", "--yes")
    assert (done["target"]["uid"], done["cluster"]["context"]) == (uid_of(pod), "there")
    other.run("contain", "-l", "app=none", "--context", "there", "--yes").ended(2)
    other.run("contain", "solo", "-l", "app=web", "--context", "there", "--yes").ended(2)
