"""Two runs on one target at once: one acts, the others are refused."""

from __future__ import annotations

import re
import threading
import time

import pytest

from tests.controlplane.running import Running
from tests.e2e import world
from tests.e2e.running import Irkit, finish, what, writes
from tests.e2e.world import name_of, uid_of
from tests.faults.harm import Delay, before
from tests.faults.proxy import Proxy

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]


def test_the_verdict_comes_before_the_collection_and_a_second_run_is_refused(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    suspect = name_of(world.deployed(control_plane, namespace)[0])
    with Proxy(control_plane.token_kubeconfig) as proxy:
        reading = threading.Event()

        def logs(request: object) -> bool:
            found = str(getattr(request, "path", "")).endswith("/log")
            if found:
                reading.set()
            return found

        proxy.when(logs, before(Delay(3)))
        first = irkit.using(proxy.kubeconfig).start("contain", suspect, "-n", namespace, "--yes", "-o", "json")
        assert first.stderr is not None
        line = first.stderr.readline()
        assert line.startswith("verdict: isolated by policy in both directions"), line
        assert reading.wait(10)
        assert first.poll() is None, "the collection has not ended, and so the verdict was not held back"

        second = irkit.json("contain", suspect, "-n", namespace, "--yes", code=8)
        holder = second["error"]["message"]
        assert re.search(rf"Pod {namespace}/{suspect} is held by admin on \S+ \(pid {first.pid}\) since 20\S+, incident 20\S+-web-\w+", holder), (
            holder
        )
        proxy.heal()
        done = finish(first).ended(0)
    assert done.document["incident"] in holder
    assert len(irkit.json("incident", "list")["items"]) == 1
    assert irkit.json("contain", suspect, "-n", namespace, "--yes")["incident"] == done.document["incident"], "once it has ended it is joined"


def test_of_runs_at_the_same_time_one_acts(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    suspect = world.deployed(control_plane, namespace)[0]
    mark = control_plane.mark()
    runs = [irkit.start("contain", name_of(suspect), "-n", namespace, "--yes", "-o", "json") for _ in range(4)]
    answers = [finish(run) for run in runs]
    assert {a.code for a in answers} <= {0, 8}, [a.said for a in answers]
    assert len({a.document["incident"] for a in answers if a.code == 0}) == 1
    assert len(irkit.json("incident", "list")["items"]) == 1
    made = [what(e) for e in writes(control_plane.audit(mark, agent="irkit/"))]
    assert made == ["create networkpolicies", "patch pods", "create poddisruptionbudgets", "patch deployments/scale"]
    assert [uid_of(p) for p in control_plane.pods(namespace, count=1)] == [uid_of(suspect)]


def test_a_run_that_was_overtaken_changes_nothing(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    suspect = name_of(world.deployed(control_plane, namespace)[0])
    with Proxy(control_plane.token_kubeconfig) as proxy:
        proxy.when(lambda request: request.dry_run, before(Delay(4)))
        slow = irkit.using(proxy.kubeconfig).start("contain", suspect, "-n", namespace, "--yes", "-o", "json")
        until = time.monotonic() + 10
        while not any(request.dry_run for request in proxy.requests):
            assert time.monotonic() < until, "it never came to its dry run"
            time.sleep(0.02)
        quick = irkit.json("contain", suspect, "-n", namespace, "--yes")
        mark = control_plane.mark()
        refused = finish(slow).ended(8).document
    assert f"incident {quick['incident']} was opened on Pod {namespace}/{suspect} a moment ago" in refused["error"]["message"]
    assert writes(control_plane.audit(mark, agent="irkit/")) == []
    assert len(irkit.json("incident", "list")["items"]) == 1


def test_runs_on_other_targets_are_in_nobodys_way(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    control_plane.apply(world.bare("one", namespace), world.bare("two", namespace))
    control_plane.pods(namespace, count=2)
    runs = [irkit.start("contain", name, "-n", namespace, "--yes", "-o", "json") for name in ("one", "two")]
    incidents = {finish(run).ended(0).document["incident"] for run in runs}
    assert len(incidents) == 2


def test_without_the_namespace_there_is_no_lease_and_it_is_said(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    control_plane.apply(world.bare("solo", namespace))
    control_plane.pods(namespace, count=1)
    mark = control_plane.mark()
    answer = irkit.run("contain", "solo", "-n", namespace, "--yes").ended(0)
    assert "nobody else can take this incident over: the cluster has no namespace irkit-system" in answer.stderr
    made = [e for e in control_plane.audit(mark, agent="irkit/") if e.get("objectRef", {}).get("resource") in ("leases", "configmaps")]
    assert [e for e in writes(made) if e["responseStatus"]["code"] < 300] == []
