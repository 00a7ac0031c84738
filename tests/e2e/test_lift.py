"""Lifting leaves alone what somebody else has changed since."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.controlplane.running import Running
from tests.e2e import world
from tests.e2e.running import Irkit, what, writes
from tests.e2e.world import name_of, uid_of

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]


def test_a_field_that_somebody_changed_is_shown_and_left(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    suspect, *_ = world.deployed(control_plane, namespace, 3)
    done = irkit.json("contain", name_of(suspect), "-n", namespace, "--yes")
    control_plane.kubectl("scale", "deployment", "web", "-n", namespace, "--replicas=1")
    judged = irkit.json("verify", done["incident"], code=5)
    assert {c["check"]: c["holds"] for c in judged["checks"]}["stopped"] is False

    mark = control_plane.mark()
    answer = irkit.run("lift", done["incident"], "--yes", "-o", "json").ended(5)
    text = irkit.run("lift", done["incident"], "--yes").ended(5)
    for said in (text.stderr, text.stdout):
        assert f"Deployment {namespace}/web spec.replicas is 1 now: changed since by somebody else" in said
    assert "spec.replicas is 1 now" in answer.document["steps"][0]["why"], "a script sees it, too"
    assert writes(control_plane.audit(mark, agent="irkit/")) == []
    assert control_plane.get("deployment", "web", "-n", namespace)["spec"]["replicas"] == 1

    # what nobody else has touched is lifted all the same
    answer = irkit.run("lift", done["incident"], "--pod", "return", "--yes").ended(5)
    made = [what(e) for e in writes(control_plane.audit(mark, agent="irkit/"))]
    # labels back, the pod-deletion-cost off again, the budget and the policy away
    assert made == ["patch pods", "patch pods", "delete poddisruptionbudgets", "delete networkpolicies"]
    (left,) = control_plane.pods(namespace, count=1)
    assert left["metadata"]["labels"]["app"] == "web"


def test_labels_that_somebody_added_stay(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    control_plane.apply(world.bare("solo", namespace))
    (pod,) = control_plane.pods(namespace, count=1)
    done = irkit.json("contain", "solo", "-n", namespace, "--yes")
    control_plane.kubectl("label", "pod", "solo", "-n", namespace, "seen-by=forensics", "tier=other")
    irkit.json("verify", done["incident"], code=5)
    irkit.run("lift", done["incident"], "--pod", "return", "--yes").ended(5)
    (back,) = control_plane.pods(namespace, count=1)
    assert (uid_of(back), back["metadata"]["labels"]) == (uid_of(pod), {"app": "web", "tier": "other", "seen-by": "forensics"})


def test_a_dry_run_of_lift_changes_nothing_and_nothing_left_is_said(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    suspect, _ = world.deployed(control_plane, namespace)
    done = irkit.json("contain", name_of(suspect), "-n", namespace, "--yes")
    mark = control_plane.mark()
    planned = irkit.json("lift", done["incident"], "--pod", "delete", "--dry-run")
    kinds = [c["change"] for s in planned["steps"] for c in s["changes"] if c["change"] != "await"]
    assert (planned["outcome"], kinds) == ("planned", ["patch", "delete", "delete", "delete"])
    assert writes(control_plane.audit(mark, agent="irkit/")) == []
    irkit.json("lift", "--pod", "delete", "--yes")
    assert irkit.json("lift", "--yes", code=2)["error"]["message"] == "no incident of this cluster has anything left for that"


def test_a_pod_that_died_meanwhile_can_t_return(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    suspect, _ = world.deployed(control_plane, namespace)
    done = irkit.json("contain", name_of(suspect), "-n", namespace, "--yes")
    control_plane.kubectl("delete", "pod", name_of(suspect), "-n", namespace, "--grace-period=0", "--force")
    irkit.json("verify", done["incident"], code=5)
    answer = irkit.run("lift", done["incident"], "--pod", "return", "--yes").ended(5)
    assert f"not restored: Pod {namespace}/{name_of(suspect)} is gone" in answer.stdout
    control_plane.pods(namespace, count=2)
    assert "Lifted." in irkit.run("lift", done["incident"], "--pod", "delete", "--yes").ended(0).stdout


def test_an_incident_of_another_cluster_is_refused(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    control_plane.apply(world.bare("solo", namespace))
    control_plane.pods(namespace, count=1)
    done = irkit.json("contain", "solo", "-n", namespace, "--yes")
    rehearsal = irkit.start("sandbox")
    try:
        assert rehearsal.stdout is not None
        line = rehearsal.stdout.readline()
        assert line.startswith("export KUBECONFIG=")
        wrong = irkit.using(Path(line.strip().partition("=")[2]))
        for command in ("lift", "resume", "verify"):
            message = wrong.json(command, done["incident"], code=8)["error"]["message"]
            assert f"incident {done['incident']} is of another cluster (test" in message
        assert wrong.json("lift", "--yes", code=2)["error"]["message"] == "no incident of this cluster has anything left for that"
    finally:
        rehearsal.terminate()
        rehearsal.communicate(timeout=20)
    irkit.json("verify", done["incident"])
