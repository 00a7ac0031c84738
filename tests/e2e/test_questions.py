"""Being asked, and not being asked: answers at a terminal, nobody there, protected namespaces."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.controlplane.running import Running
from tests.e2e import world
from tests.e2e.running import Irkit, writes
from tests.e2e.world import name_of, uid_of

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]


def test_nobody_to_ask_is_a_refusal(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    suspect = name_of(world.deployed(control_plane, namespace, 1)[0])
    mark = control_plane.mark()
    answer = irkit.run("contain", suspect, "-n", namespace, timeout=20).ended(3)
    assert "this is no terminal" in answer.stderr
    assert "--yes" in answer.stderr
    document = irkit.json("contain", suspect, "-n", namespace, code=3)
    assert (document["outcome"], document["error"]["code"]) == ("declined", 3)
    assert writes(control_plane.audit(mark, agent="irkit/")) == []
    assert not (irkit.home / "incidents").exists()


def test_a_no_at_the_first_question_changes_nothing(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    suspect = name_of(world.deployed(control_plane, namespace, 1)[0])
    mark = control_plane.mark()
    answer = irkit.asked("contain", suspect, "-n", namespace, answers=["n"]).ended(3)
    assert f"Cut off {suspect} and collect evidence in {namespace} of test? [y/N]" in answer.stdout
    assert "nothing was changed" in answer.stdout
    assert writes(control_plane.audit(mark, agent="irkit/")) == []
    assert not (irkit.home / "incidents").exists()
    irkit.asked("contain", suspect, "-n", namespace, answers=[""]).ended(3)  # Enter is no


def test_a_no_before_the_scale_down_keeps_what_was_done(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    suspect, sibling = world.deployed(control_plane, namespace)
    answer = irkit.asked("contain", name_of(suspect), "-n", namespace, answers=["y", "n"]).ended(3)
    question = f"Scale Deployment {namespace}/web 2 → 0? Ends 2 pods, all collected. [y/N]"
    assert question in answer.stdout
    assert answer.stdout.index("verdict: isolated") < answer.stdout.index("collected ") < answer.stdout.index(question)
    assert control_plane.get("deployment", "web", "-n", namespace)["spec"]["replicas"] == 2
    assert irkit.json("verify", name_of(suspect), "-n", namespace)["isolation"]["verdict"] == "isolated"
    (incident,) = irkit.json("incident", "list")["items"]
    bag = irkit.home / "incidents" / incident["id"] / "bags" / "1"
    assert (bag / "data/pods" / namespace / name_of(sibling) / "app/current.log").exists()
    irkit.run("bundle", "verify", str(bag)).ended(0)

    resumed = irkit.asked("resume", answers=["y"]).ended(0)
    assert "Scale Deployment" in resumed.stdout
    assert [uid_of(p) for p in control_plane.pods(namespace, count=1)] == [uid_of(suspect)]


def test_two_yeses_contain_and_one_lifts(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    suspect, _ = world.deployed(control_plane, namespace)
    before = control_plane.get("deployment", "web", "-n", namespace)["spec"]
    shown = irkit.asked("contain", name_of(suspect), "-n", namespace, answers=["y", "y"]).ended(0).stdout
    assert shown.count("next:") == 1, "one next command"
    for line in ("cluster    test (https://127.0.0.1", "you        admin", f"owner      ReplicaSet {name_of(suspect).rpartition('-')[0]}", "2 → 0"):
        assert line in shown
    declined = irkit.asked("lift", answers=["n"]).ended(3)
    assert "nothing was changed" in declined.stdout
    assert control_plane.get("deployment", "web", "-n", namespace)["spec"]["replicas"] == 0
    irkit.asked("lift", answers=["y"]).ended(0)
    assert control_plane.get("deployment", "web", "-n", namespace)["spec"] == before


def test_more_than_was_approved_is_asked_again_and_collected_first(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    suspect, _ = world.deployed(control_plane, namespace)

    def somebody_scales_up() -> str:
        control_plane.kubectl("scale", "deployment", "web", "-n", namespace, "--replicas=4")
        control_plane.pods(namespace, "app=web", count=4)
        return "y"

    shown = irkit.asked("contain", name_of(suspect), "-n", namespace, answers=["y", somebody_scales_up, "n"]).ended(3).stdout
    assert f"Scale Deployment {namespace}/web 2 → 0? Ends 2 pods, all collected. [y/N]" in shown
    again = f"Scale Deployment {namespace}/web 4 → 0? Ends 4 pods, all collected. [y/N]"
    assert shown.index("collecting 2 pods that came since") < shown.index(again)
    assert control_plane.get("deployment", "web", "-n", namespace)["spec"]["replicas"] == 4
    (incident,) = irkit.json("incident", "list")["items"]
    bags = irkit.home / "incidents" / incident["id"] / "bags"
    held = {p.parent.parent.name for p in bags.glob(f"*/data/pods/{namespace}/*/app/current.log")}
    assert held >= {name_of(p) for p in control_plane.pods(namespace)}
    # what is put back is what was there when it was stopped
    irkit.asked("resume", answers=["y"]).ended(0)
    irkit.run("lift", "--yes").ended(0)
    assert control_plane.get("deployment", "web", "-n", namespace)["spec"]["replicas"] == 4


def test_warnings_come_before_the_question(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    suspect, _ = world.deployed(control_plane, namespace)
    scaler = {"minReplicas": 1, "maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}
    control_plane.apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop", "namespace": namespace},
         "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}},
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web", "namespace": namespace}, "spec": scaler},
        world.bare("host", namespace, labels={"app": "host"}, hostNetwork=True),
    )  # fmt: skip
    control_plane.kubectl("annotate", "deployment", "web", "-n", namespace, f"argocd.argoproj.io/tracking-id=shop:apps/Deployment:{namespace}/web")
    control_plane.pods(namespace, count=3)
    shown = irkit.asked("contain", name_of(suspect), "-n", namespace, answers=["n"]).ended(3).stdout
    before = shown[: shown.index("[y/N]")]
    assert f"! 2 → 0 replicas: Service {namespace}/shop will have no endpoints" in before
    assert "HorizontalPodAutoscaler" in before
    assert "Argo CD" in before

    shown = irkit.asked("contain", "host", "-n", namespace, answers=["n"]).ended(3).stdout
    assert "hostNetwork: no NetworkPolicy can select this pod; it will not be isolated" in shown[: shown.index("[y/N]")]
    done = irkit.json("contain", "host", "-n", namespace, "--yes", code=5)
    assert [(k["policy"], k["direction"], k["rule"]) for k in done["isolation"]["leaks"]] == [(None, "ingress", None), (None, "egress", None)]


def test_a_protected_namespace_must_be_named_again(control_plane: Running, namespace: str, irkit: Irkit, tmp_path: Path) -> None:
    suspect = name_of(world.deployed(control_plane, namespace, 1)[0])
    contact = {"name": "security", "address": "security@example.com"}
    careful = irkit.configured(tmp_path / "config.yaml", **{"protected-namespaces": [namespace], "contacts": [contact]})
    mark = control_plane.mark()
    document = careful.json("contain", suspect, "-n", namespace, "--yes", code=8)
    assert f"namespace {namespace} is protected" in document["error"]["message"]
    assert f"--protected {namespace}" in document["error"]["next"]
    careful.json("contain", suspect, "-n", namespace, "--yes", "--protected", "kube-system", code=8)
    assert writes(control_plane.audit(mark, agent="irkit/")) == []
    assert not (irkit.home / "incidents").exists()
    careful.run("collect", suspect, "-n", namespace).ended(0)  # reads are nobody's danger

    answer = careful.run("contain", suspect, "-n", namespace, "--yes", "--protected", namespace).ended(0)
    assert "security <security@example.com>" in answer.stdout
