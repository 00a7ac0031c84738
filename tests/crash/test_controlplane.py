"""The same on a real control plane: killed at some requests of each kind, by a seed, and resumed to the same end."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bagit
import pytest

from irkit.engine.home import Home
from tests.controlplane.running import Running
from tests.e2e.running import Irkit, finish, what, writes
from tests.e2e.world import deployed, name_of, owner, uid_of
from tests.faults.harm import Kill, Match, after, before, nth
from tests.faults.harm import writes as is_write
from tests.faults.proxy import Proxy

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]
REQUESTS = 70  # a containment of three pods makes more than that
INSTANTS = sorted(random.Random(20261122).sample(range(REQUESTS), 8))


@pytest.fixture
def proxied(control_plane: Running, tmp_path: Path) -> Iterator[tuple[Proxy, Irkit]]:
    with Proxy(control_plane.token_kubeconfig) as proxy:
        yield proxy, Irkit(proxy.kubeconfig, tmp_path / "home")


def _nth_write(number: int) -> Match:
    count = -1

    def hit(request: Any) -> bool:
        nonlocal count
        count += is_write(request)
        return is_write(request) and count == number

    return hit


def _killed_and_resumed(plane: Running, namespace: str, proxied: tuple[Proxy, Irkit], match: Match, how: str) -> None:
    proxy, irkit = proxied
    pods, start = deployed(plane, namespace, 3), plane.mark()
    suspect = pods[0]
    words = ("contain", name_of(suspect), "-n", namespace, "--yes")
    proxy.when(match, {"before": before, "after": after}[how](Kill()), times=1)
    process = irkit.start(*words)
    proxy.victim = process.pid
    assert finish(process).code == -9, "there were fewer requests than that"
    home = Home(irkit.home)
    irkit.run(*(("resume", "--yes") if home.ids() else words)).ended(0)

    (incident,) = home.ids()
    (policy,) = plane.get("networkpolicies", "-n", namespace)["items"]
    short = incident.rsplit("-", 1)[-1]
    assert policy["metadata"]["labels"]["irkit.dev/incident"] == short
    assert plane.get("deployment", "web", "-n", namespace)["spec"]["replicas"] == 0
    (left,) = [p for p in plane.get("pods", "-n", namespace)["items"] if "deletionTimestamp" not in p["metadata"]]
    assert (uid_of(left), owner(left)) == (uid_of(suspect), "")
    assert left["metadata"]["labels"] == {"quarantine": "true", "irkit.dev/incident": short}

    events = plane.audit(start, agent="irkit/")
    made = [e for e in writes(events) if e["responseStatus"]["code"] < 300]
    assert [what(e) for e in made] == ["create networkpolicies", "patch pods", "create poddisruptionbudgets", "patch deployments/scale"]
    read = {e["objectRef"]["name"] for e in events[: events.index(made[-1])] if what(e) == "get pods/log"}
    assert read >= {name_of(p) for p in pods}, "a pod ended before its log was read"

    bags = home.directory(incident) / "bags"
    assert [p.name for p in bags.iterdir()] == ["1"]
    bagit.Bag(str(bags / "1")).validate()
    assert all((bags / "1" / "data" / "pods" / namespace / name_of(p) / "app" / "current.log").exists() for p in pods)
    assert home.load(incident).bags[0].gaps == ()
    irkit.run("verify", incident).ended(0)


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("write", [0, 1, 2])
def test_killed_around_each_write(control_plane: Running, namespace: str, proxied: tuple[Proxy, Irkit], write: int, how: str) -> None:
    _killed_and_resumed(control_plane, namespace, proxied, _nth_write(write), how)


@pytest.mark.parametrize("request_number", INSTANTS)
def test_killed_at_some_requests(control_plane: Running, namespace: str, proxied: tuple[Proxy, Irkit], request_number: int) -> None:
    _killed_and_resumed(control_plane, namespace, proxied, nth(request_number), "before" if request_number % 2 else "after")
