"""Which pods a ReplicaSet ends first: ActivePodsWithRanks of pkg/controller."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from irkit.sandbox.clock import stamp
from irkit.sandbox.controllers.replicaset import ranked

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def pod(
    name: str, *, node: str = "n", phase: str = "Running", ready: float | None = 1000, age: float = 2000, restarts: int = 0, cost: str = ""
) -> Any:
    conditions = [] if ready is None else [{"type": "Ready", "status": "True", "lastTransitionTime": stamp(NOW - timedelta(seconds=ready))}]
    annotations = {"controller.kubernetes.io/pod-deletion-cost": cost} if cost else {}
    return {
        "metadata": {"name": name, "uid": name, "creationTimestamp": stamp(NOW - timedelta(seconds=age)), "annotations": annotations},
        "spec": {"nodeName": node},
        "status": {"phase": phase, "conditions": conditions, "containerStatuses": [{"restartCount": restarts}]},
    }


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pod("z", node="", phase="Pending", ready=None), pod("a", phase="Pending", ready=None)),
        (pod("z", phase="Pending", ready=None), pod("a", ready=None)),
        (pod("z", ready=None), pod("a")),
        (pod("z", cost="-5"), pod("a", ready=5)),
        (pod("z", node="crowded"), pod("a", ready=5)),
        (pod("z", ready=10), pod("a", ready=1000)),
        (pod("z", restarts=3), pod("a", age=10)),
        (pod("z", age=10), pod("a", age=2000)),
        (pod("a", ready=900), pod("z", ready=600)),  # the same power of two: by uid
    ],
)
def test_who_goes_first(first: Any, second: Any) -> None:
    for pods in ([first, second], [second, first]):
        assert [p["metadata"]["name"] for p in ranked(pods, Counter(crowded=2, n=1), NOW)] == [first["metadata"]["name"], second["metadata"]["name"]]


def test_a_cost_that_is_no_number_is_none() -> None:
    assert [p["metadata"]["name"] for p in ranked([pod("a", cost="x"), pod("b", cost="-1")], Counter(), NOW)] == ["b", "a"]
