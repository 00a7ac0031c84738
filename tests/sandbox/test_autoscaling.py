"""The load that a scenario says, and what the autoscaler makes of it: there are no metrics to compare with in the real control plane."""

from __future__ import annotations

from pathlib import Path

import pytest

from irkit.model import kube
from irkit.model.kube import Obj
from irkit.sandbox import Sandbox
from irkit.sandbox.controllers.autoscaler import LOAD
from tests.clocks import StepClock


class Scaled:
    """A Deployment of three with an autoscaler (2..10), and a clock."""

    def __init__(self, box: Sandbox, clock: StepClock) -> None:
        self.box, self.clock = box, clock
        pod = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "img:1"}]}}
        box.store.add({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
                       "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": pod}})  # fmt: skip
        box.store.add({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web", "namespace": "default"},
                       "spec": {"minReplicas": 2, "maxReplicas": 10,
                                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}})  # fmt: skip

    def after(self, seconds: float, load: str | None = None) -> int:
        """The replicas so many seconds later, with another load from now on."""
        if load is not None:
            self.box.store.patch(kube.HPAS, "web", {"metadata": {"annotations": {LOAD: load}}}, "default")
        self.box.hold()
        for _ in range(int(seconds / 15)):
            self.clock.sleep(15)
            self.box._manager.settle()
        self.box.release()
        found = self.box.store.find(kube.DEPLOYMENTS, "web", "default")
        assert found is not None
        return int(found["spec"]["replicas"])

    def condition(self, kind: str) -> Obj:
        found = self.box.store.find(kube.HPAS, "web", "default")
        assert found is not None
        return next(c for c in found["status"]["conditions"] if c["type"] == kind)


@pytest.fixture
def scaled(tmp_path: Path) -> Scaled:
    clock = StepClock()
    return Scaled(Sandbox("empty", clock=clock, home=tmp_path, lag=0), clock)


def test_load_that_is_just_right_changes_nothing(scaled: Scaled) -> None:
    assert scaled.after(30) == 3
    assert scaled.after(30, "290") == 3  # within a tenth
    assert scaled.condition("ScalingActive")["reason"] == "ValidMetricFound"


def test_more_load_more_replicas(scaled: Scaled) -> None:
    assert scaled.after(15, "450%") == 5
    assert scaled.after(15, "9999") == 10
    assert scaled.condition("ScalingLimited")["reason"] == "TooManyReplicas"


def test_not_more_than_twice_as_many_at_once(scaled: Scaled) -> None:
    assert scaled.after(15, "900") == 6
    assert scaled.condition("ScalingLimited")["reason"] == "ScaleUpLimit"
    assert scaled.after(15) == 9


def test_five_minutes_until_fewer(scaled: Scaled) -> None:
    assert scaled.after(15, "600") == 6
    assert scaled.after(285, "100") == 6
    assert scaled.condition("AbleToScale")["reason"] == "ScaleDownStabilized"
    assert scaled.after(60) == 2
    assert scaled.condition("ScalingLimited")["reason"] == "TooFewReplicas"


def test_off_at_nothing_whatever_the_load(scaled: Scaled) -> None:
    scaled.after(15)
    scaled.box.store.patch(kube.DEPLOYMENTS, "web", {"spec": {"replicas": 0}}, "default")
    assert scaled.after(60, "900") == 0
    scaled.box.store.patch(kube.DEPLOYMENTS, "web", {"spec": {"replicas": 1}}, "default")
    assert scaled.after(15) == 2


@pytest.mark.parametrize("said", ["", "-5", "nan", "1e9", "9" * 400, "\x1b[31m", "²"])
def test_a_load_that_is_none_is_no_load(scaled: Scaled, said: str) -> None:
    assert scaled.after(30, said) == 3
    assert not scaled.box.problems
