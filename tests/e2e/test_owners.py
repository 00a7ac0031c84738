"""Contain, verify, lift: for every kind of workload, on real controllers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Literal

import pytest

from tests.controlplane.running import Running
from tests.e2e import world
from tests.e2e.running import Irkit
from tests.e2e.world import Obj, name_of, owner, uid_of

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]

KINDS = ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod"]
# what a stopped workload's spec says, and how many pods each has
STOPPED: dict[str, Callable[[Obj], bool]] = {
    "Deployment": lambda spec: spec["replicas"] == 0,
    "ReplicaSet": lambda spec: spec["replicas"] == 0,
    "StatefulSet": lambda spec: spec["replicas"] == 0,
    "DaemonSet": lambda spec: "irkit.dev/none" in spec["template"]["spec"]["nodeSelector"],
    "Job": lambda spec: spec["suspend"] is True,
    "CronJob": lambda spec: spec["suspend"] is True,
}
COUNT = {"DaemonSet": 3, "Pod": 1}


def start(plane: Running, kind: str, namespace: str) -> list[Obj]:
    """The running pods of a new workload ``web``, in the order of their names."""
    if kind == "CronJob":
        plane.apply(world.cronjob("web", namespace))
        plane.kubectl("create", "job", "web-now", "--from=cronjob/web", "-n", namespace)
    else:
        make = {"DaemonSet": world.daemonset, "Job": world.job, "Pod": world.bare}.get(kind, lambda n, ns: world.scaled(kind, n, ns))
        plane.apply(make("web", namespace))
    return sorted(plane.pods(namespace, "app=web", count=COUNT.get(kind, 2)), key=name_of)


def workloads(plane: Running, kind: str, namespace: str) -> list[Obj]:
    """What was there to be stopped: the workload, and a CronJob's Jobs."""
    kinds = {"CronJob": "cronjobs,jobs", "Pod": ""}.get(kind, f"{kind}s")
    return list(plane.get(kinds, "-n", namespace)["items"]) if kinds else []


def alive(plane: Running, namespace: str) -> list[Obj]:
    return [p for p in plane.get("pods", "-n", namespace)["items"] if "deletionTimestamp" not in p["metadata"]]


@pytest.mark.parametrize("choice", ["return", "delete"])
@pytest.mark.parametrize("kind", KINDS)
def test_contain_verify_lift(control_plane: Running, namespace: str, irkit: Irkit, kind: str, choice: Literal["return", "delete"]) -> None:
    pods = start(control_plane, kind, namespace)
    suspect, before = pods[0], workloads(control_plane, kind, namespace)

    done = irkit.json("contain", name_of(suspect), "-n", namespace, "--yes")
    assert (done["outcome"], done["isolation"]["verdict"], done["isolation"]["leaks"]) == ("done", "isolated", [])
    left = alive(control_plane, namespace)
    assert [uid_of(p) for p in left] == [uid_of(suspect)], "the suspect lives on, alone"
    assert owner(left[0]) == ""
    assert left[0]["metadata"]["labels"] == {"quarantine": "true", "irkit.dev/incident": done["incident"].rsplit("-", 1)[-1]}
    assert left[0]["status"]["phase"] == "Running"
    stopped = workloads(control_plane, kind, namespace)
    assert all(STOPPED[w["kind"]](w["spec"]) for w in stopped)

    held = irkit.json("verify", done["incident"])
    assert {c["check"]: c["holds"] for c in held["checks"]} == dict.fromkeys(
        ["isolated", "stopped", "alive", "untampered"] if before else ["isolated", "alive", "untampered"], True
    )

    if before:
        lifted = irkit.json("lift", done["incident"], "--yes")
        assert lifted["outcome"] == "lifted"
        assert [w["spec"] for w in workloads(control_plane, kind, namespace)] == [w["spec"] for w in before]
        assert uid_of(suspect) in [uid_of(p) for p in alive(control_plane, namespace)]
        irkit.run("verify", done["incident"]).ended(0)

    again = irkit.json("lift", done["incident"], "--pod", choice, "--yes")
    assert again["outcome"] == "lifted"
    assert control_plane.get("networkpolicies", "-n", namespace)["items"] == []
    after_lift(control_plane, namespace, kind, suspect, choice)


def after_lift(plane: Running, namespace: str, kind: str, suspect: Obj, choice: str) -> None:
    """The workload has as many pods as it had, the suspect among them if it was to return, then just as it was."""
    count = COUNT.get(kind, 2) if (kind, choice) != ("Pod", "delete") else 0
    until = time.monotonic() + 30
    while len(found := alive(plane, namespace)) != count or any(p["status"].get("phase") != "Running" for p in found):
        assert time.monotonic() < until, json.dumps([p["metadata"] for p in found], indent=1)
        time.sleep(0.1)
    back = [p for p in found if uid_of(p) == uid_of(suspect)]
    assert bool(back) == (choice == "return")
    for pod in back:
        assert pod["metadata"]["labels"] == suspect["metadata"]["labels"]
        assert pod["metadata"].get("annotations") == suspect["metadata"].get("annotations")
        assert owner(pod) == owner(suspect)
