"""What was contained on a real control plane comes back with another image; what can't says why, and is stopped again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.controlplane.running import Running
from tests.e2e import world
from tests.e2e.running import Irkit
from tests.e2e.world import name_of
from tests.recovery.world import program, report

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]

NEW = f"registry.example/app@sha256:{'a' * 64}"


@pytest.fixture
def oncall(irkit: Irkit, control_plane: Running, namespace: str, tmp_path: Path) -> Irkit:
    """Somebody with a scanner on PATH who has contained a pod of Deployment web."""
    program(tmp_path / "bin", "trivy", report(("CVE-2026-1", "HIGH")))
    person = Irkit(irkit.kubeconfig, irkit.home, {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"})
    own = world.template()
    own["spec"]["containers"][0]["image"] = f"registry.example/app:{namespace}"  # no other test's pods run it: it is hunted in the whole cluster
    suspect = name_of(world.deployed(control_plane, namespace, pod=own)[0])
    person.run("contain", suspect, "-n", namespace, "--yes").ended(0)
    return person


def test_a_contained_workload_comes_back_and_what_it_ran_is_hunted(control_plane: Running, namespace: str, oncall: Irkit) -> None:
    document = oncall.json("redeploy", "deployment/web", "-n", namespace, "--image", NEW, "--yes")
    assert {c["check"]: c["holds"] for c in document["checks"]}.items() >= {"scanned " + NEW: True, "ready": True, "image": True}.items()
    hunt = next(c for c in document["checks"] if c["check"] == "old-image")
    assert hunt["holds"] is True, hunt
    assert "only the spec is known, because the node tells no imageID" in hunt["summary"]
    assert {p["spec"]["containers"][0]["image"] for p in control_plane.pods(namespace, "app=web", count=2)} == {NEW}
    assert oncall.json("verify", document["incident"])["exitCode"] == 0
    again = oncall.json("redeploy", document["incident"], "--image", NEW, "--yes")
    assert again["incident"] == document["incident"]


def test_a_quota_is_named_and_the_workload_is_stopped_again(control_plane: Running, namespace: str, oncall: Irkit, tmp_path: Path) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "1"}}}
    control_plane.apply(quota, namespace=namespace)
    playbook = tmp_path / "back.yaml"
    (tmp_path / "back.md").write_text("#\n")
    playbook.write_text(
        "apiVersion: irkit.dev/v1\nkind: Playbook\nmetadata: {name: back, title: Back, severity: low, runbook: back.md}\n"
        "parameters: {app: {type: workload, required: true}}\nphases:\n  recovery:\n"
        f'    - {{id: redeploy, step: redeploy, timeout: 5s, with: {{workload: "${{app}}", image: "{NEW}"}}}}\n'
    )
    control_plane.kubectl("scale", "deployment/web", "--replicas=2", "-n", namespace)
    answer = oncall.run("respond", str(playbook), "deployment/web", "-n", namespace, "--yes", "-o", "json")
    document = answer.ended(5).document
    (step,) = document["steps"]
    assert "exceeded quota: none" in step["why"]
    assert control_plane.get("deployment", "web", "-n", namespace)["spec"]["replicas"] == 0
    assert document["next"].startswith("irkit redeploy ")
