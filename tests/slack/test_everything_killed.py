"""Listener and worker are killed together, again and again: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from irkit import wiring
from irkit.model.kube import DEPLOYMENTS, NETWORKPOLICIES, ObjectRef
from tests import processes
from tests.slack.limits import Obj
from tests.slack.people import BOB
from tests.slack.world import Irkit, World, until

pytestmark = pytest.mark.slow


def workers() -> list[int]:
    """Processes that carry an order out, in this world or in that of another test run."""
    return processes.running("order", "work")


def of(world: World, pids: list[int]) -> list[int]:
    """Those that work in this world's home."""
    home = f"IRKIT_HOME={world.irkit_home}".encode()
    mine = []
    for pid in pids:
        try:
            mine += [pid] if home in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") else []
        except OSError:
            continue
    return mine


def killed(world: World, irkit: Irkit) -> Irkit:
    """All of irkit, at once; then it is started again."""
    irkit.process.kill()
    for pid in of(world, workers()):
        os.kill(pid, signal.SIGKILL)
    irkit.end(kill=True)
    world.slack.connections(0)
    return world.starts()


def status(world: World) -> Obj:
    [found] = [json.loads(path.read_bytes())["status"] for path in (world.irkit_home / "orders").glob("*.json")]
    return dict(found)


def reaches(world: World, *states: str) -> None:
    until(lambda: status(world)["state"] in states, 60, lambda: str(status(world)))


@pytest.mark.skipif(not Path("/proc").exists(), reason="processes are found by /proc")
def test_all_of_it_is_killed_at_every_stage_and_it_is_done_once(world: World) -> None:
    irkit, pod = world.starts(), world.pods()[0]
    world.people.types(f"contain {pod}")
    irkit = killed(world, irkit)  # the moment after it was acknowledged
    reaches(world, "waiting")
    irkit = killed(world, irkit)  # while people think
    message = world.live("waits for approval")
    until(lambda: message["ts"] in status(world).get("message", ""), 20, lambda: str(status(world)))
    world.people.presses(message, "irkit-approve", user=BOB)
    irkit = killed(world, irkit)  # the moment after the decision was acknowledged
    reaches(world, "running", "done")
    incident = status(world)["incident"]
    until((world.irkit_home / "incidents" / incident / "journal.jsonl").exists, 60, lambda: str(status(world)))
    irkit = killed(world, irkit)  # in the middle of the containment
    reaches(world, "done")
    world.live("is done", 40)

    with wiring.cluster(wiring.settings(kubeconfig=world.environment["KUBECONFIG"])) as cluster:
        ours = [p["metadata"]["name"] for p in cluster.list(NETWORKPOLICIES, "todo-app") if p["metadata"]["name"].startswith("irkit-")]
        backend = cluster.get(ObjectRef(resource=DEPLOYMENTS, name="backend", namespace="todo-app"))
    assert len(ours) == 1
    assert backend["spec"]["replicas"] == 0
    assert pod in world.pods()
    assert [p.name for p in (world.irkit_home / "incidents").iterdir()] == [incident]
    assert status(world)["ended"]["exit_code"] == 0
    assert len(status(world)["decisions"]) == 1
    for bag in (world.irkit_home / "incidents" / incident / "bags").iterdir():
        assert world.irkit("bundle", "verify", str(bag)).returncode == 0
    assert irkit.end() == 0
