"""`irkit verify --watch`: drift is said once when it appears and once when it is over, and the watch outlives its process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from irkit.app import lift as lifting
from irkit.app.watching import watch
from irkit.engine.events import Said
from irkit.errors import InterruptedRun, UnreachableError, UsageError
from irkit.model.kube import PODS
from tests.clocks import StepClock
from tests.engine.harness import Bench
from tests.recovery.world import BACKEND, contained


class Clock(StepClock):
    """A clock by which something happens at the n-th pause."""

    def __init__(self, now: Any, happens: dict[int, Callable[[], object]]) -> None:
        super().__init__(now)
        self.happens = happens

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.happens.get(len(self.slept), lambda: None)()


def watched(b: Bench, happens: dict[int, Callable[[], object]], seconds: float | None = 300, target: str | None = None) -> Any:
    clock = Clock(b.ports.clock.now(), happens)
    return watch(msgspec.structs.replace(b.ports, clock=clock), target, None, "", seconds)


def scale(b: Bench, replicas: int) -> Callable[[], object]:
    def do() -> None:
        b.ports.cluster.patch(BACKEND, {"spec": {"replicas": replicas}}, subresource="scale")
        b.box.settle()

    return do


def told(b: Bench) -> list[tuple[str, str]]:
    return [(w.event, w.check) for w in b.state().watched]


def test_nothing_drifts(tmp_path):
    with contained(tmp_path) as b:
        assert watched(b, {}).exit_code == 0
        assert told(b) == [("began", ""), ("ended", "")]


def test_drift_is_told_once_and_once_that_it_is_over(tmp_path):
    with contained(tmp_path) as b:
        result = watched(b, {2: scale(b, 3), 5: scale(b, 0)})
        assert result.exit_code == 0
        assert told(b) == [("began", ""), ("drift", "stopped"), ("over", "stopped"), ("ended", "")]
        said = [e.text for e in b.events if isinstance(e, Said) and "stopped" in e.text]
        assert len(said) == 2
        assert "drift: Deployment todo-app/backend is not stopped: 3 replicas, 3 pods" in said[0]


def test_what_still_drifts_at_its_end_is_5(tmp_path):
    with contained(tmp_path) as b:
        result = watched(b, {2: scale(b, 3)})
        assert (result.exit_code, result.outcome) == (5, "incomplete")


def test_a_watch_goes_on_after_an_interruption_with_what_it_knew(tmp_path):
    with contained(tmp_path) as b:

        def stop() -> None:
            raise KeyboardInterrupt

        with pytest.raises(InterruptedRun) as stopped:
            watched(b, {2: scale(b, 3), 4: stop})
        assert stopped.value.exit_code == 130
        identifier = b.state().incident.id
        assert stopped.value.next == f"irkit verify {identifier} --watch"
        scale(b, 0)()
        assert watched(b, {}, None, identifier).exit_code == 0
        assert told(b) == [("began", ""), ("drift", "stopped"), ("over", "stopped"), ("ended", "")]
        with pytest.raises(UsageError, match="no watch of incident"):
            watched(b, {}, None, identifier)


def test_an_api_server_that_does_not_answer_is_drift_of_its_own_and_ends_no_other(tmp_path):
    with contained(tmp_path) as b:
        deaf = {"now": False}

        class Cluster:
            def __init__(self, cluster: Any) -> None:
                self._cluster = cluster

            def __getattr__(self, name: str) -> Any:
                if deaf["now"] and name in ("get", "list"):
                    raise UnreachableError("the API server does not answer")
                return getattr(self._cluster, name)

        b.ports = msgspec.structs.replace(b.ports, cluster=Cluster(b.ports.cluster))
        result = watched(b, {2: scale(b, 3), 4: lambda: deaf.update(now=True), 6: lambda: deaf.update(now=False), 8: scale(b, 0)})
        assert result.exit_code == 0
        assert told(b) == [("began", ""), ("drift", "stopped"), ("drift", "cluster"), ("over", "cluster"), ("over", "stopped"), ("ended", "")]


def test_a_lift_beside_it_ends_it(tmp_path):
    with contained(tmp_path) as b:
        result = watched(b, {2: lambda: lifting.lift(b.ports, None, "keep")})
        assert result.exit_code == 0
        assert told(b)[-1] == ("ended", "")
        assert any("the watch ended: the incident is lifted" in getattr(e, "text", "") for e in b.events)


def test_a_pod_without_an_incident_is_not_watched(tmp_path):
    with contained(tmp_path) as b:
        other = next(p["metadata"]["name"] for p in b.ports.cluster.list(PODS, "todo-app", labels="app=frontend"))
        with pytest.raises(UsageError, match="a watch needs an incident"):
            watch(b.ports, other, None, "todo-app", 60)
