"""What is in the bag is what kubectl gives: every container's log, of this run and the one before."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import bagit
import pytest

from tests.controlplane.running import Running
from tests.e2e import world
from tests.e2e.running import Irkit
from tests.e2e.world import Obj, name_of

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]

HOSTILE = [b"\x1b[2J\x1b[31mred", b"nul \x00 here", b"\xff\xfe not UTF-8", "Ünïcödé".encode(), b"x" * 100_000, b"", b"<script>alert(1)</script>"]


def raw_log(plane: Running, namespace: str, pod: str, container: str, *flags: str) -> bytes:
    """The bytes of ``kubectl logs --timestamps``."""
    command = [str(plane.kubectl_program), f"--kubeconfig={plane.admin_kubeconfig}", "logs", "-n", namespace, pod, "-c", container, "--timestamps"]
    return subprocess.run([*command, *flags], capture_output=True, check=True, timeout=60).stdout


def restarted(plane: Running, namespace: str, pod: Obj, container: str) -> None:
    """Have the pod's status say that this container ran before."""
    statuses = [dict(s) for s in pod["status"]["containerStatuses"]]
    for status in (s for s in statuses if s["name"] == container):
        status |= {"restartCount": 1, "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "containerID": "containerd://before"}}}
    plane.kubectl(
        "patch",
        "pod",
        name_of(pod),
        "-n",
        namespace,
        "--subresource=status",
        "--type=merge",
        "-p",
        json.dumps({"status": {"containerStatuses": statuses}}),
    )


def test_every_log_is_what_kubectl_gives(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    pods = world.deployed(control_plane, namespace, 3, pod=world.template("app", "proxy", init=("prepare",)))
    for number, pod in enumerate(pods):
        logs = {c: [*HOSTILE, *(f"{c} of pod {number}, line {n}".encode() for n in range(200))] for c in ("app", "proxy", "prepare")}
        control_plane.set_logs(namespace, name_of(pod), logs, {"app": [f"before the crash of {number}".encode(), *HOSTILE]})
    restarted(control_plane, namespace, pods[1], "app")
    expected = {}
    for number, pod in enumerate(pods):
        for container in ("app", "proxy", "prepare"):
            expected[f"{name_of(pod)}/{container}/current.log"] = raw_log(control_plane, namespace, name_of(pod), container)
        if number == 1:
            expected[f"{name_of(pod)}/app/previous.log"] = raw_log(control_plane, namespace, name_of(pod), "app", "--previous")
    assert len(set(expected.values())) == len(expected) == 10, "each is of its own"

    done = irkit.json("contain", name_of(pods[0]), "-n", namespace, "--yes")
    bag = Path(done["evidence"]["bundle"])
    folder = bag / "data/pods" / namespace
    for path, content in expected.items():
        assert (folder / path).read_bytes() == content, path
    found = {str(p.relative_to(folder)) for p in folder.rglob("*.log") if p.parts[len(folder.parts)] in {name_of(q) for q in pods}}
    assert found == set(expected), "no other pod has a log of a run before"
    replacement = [m for m in done["evidence"]["missing"] if "logs of" in m["what"]]
    assert replacement == []
    bagit.Bag(str(bag)).validate()
    irkit.run("bundle", "verify", str(bag)).ended(0)

    text = (bag / "data/incident-logs.txt").read_bytes()
    assert expected[f"{name_of(pods[0])}/app/current.log"] in text
    assert name_of(pods[0]) in (bag / "data/incident-pod.yaml").read_text()
    assert (bag / "data/incident-events.txt").stat().st_size > 0
    assert (bag.stat().st_mode & 0o077, (bag / "data/incident-logs.txt").stat().st_mode & 0o077) == (0, 0)


def test_secrets_are_not_in_the_bag(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    value = "c29tZS12ZXJ5LXNlY3JldC12YWx1ZQ"
    control_plane.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "database", "namespace": namespace}, "stringData": {"password": value}}
    )
    pod = world.template("app")
    pod["spec"]["containers"][0]["env"] = [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "database", "key": "password"}}}]
    pods = world.deployed(control_plane, namespace, 1, pod=pod)
    done = irkit.json("contain", name_of(pods[0]), "-n", namespace, "--yes")
    needles = (value.encode(), base64.b64encode(value.encode()))
    held = [p for p in irkit.home.rglob("*") if p.is_file() and any(n in p.read_bytes() for n in needles)]
    assert held == []
    assert any(
        "password" in p.read_text(errors="replace") and "database" in p.name for p in Path(done["evidence"]["bundle"]).rglob("*") if p.is_file()
    )


def test_take_collects_only_what_is_named(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    pods = world.deployed(control_plane, namespace)
    done = irkit.json("collect", name_of(pods[0]), "-n", namespace, "--take", "logs")
    folder = Path(done["evidence"]["bundle"]) / "data/pods" / namespace
    assert {p.name for p in folder.rglob("*") if p.is_file()} == {"current.log"}
    answer = irkit.run("collect", name_of(pods[0]), "-n", namespace, "--take", "lgos").ended(2)
    assert "did you mean logs" in answer.stderr
