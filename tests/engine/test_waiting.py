"""What is awaited while the API server is away: it is said once, and waited for until the step's time is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from irkit.engine import apply
from irkit.engine.events import Said
from irkit.errors import UnreachableError
from irkit.model.changes import Await
from irkit.model.kube import PODS, ObjectRef
from irkit.model.outcome import Done
from irkit.ports import Cluster, Observed
from tests.clocks import StepClock
from tests.engine.harness import Bench, bench


class Away:
    """A Cluster that can't be reached by its first ``reads`` reads of an object."""

    def __init__(self, cluster: Cluster, reads: int) -> None:
        self._cluster, self._left = cluster, reads

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    def get(self, ref: ObjectRef) -> Any:
        self._left -= 1
        if self._left >= 0:
            raise UnreachableError("https://127.0.0.1:6443 can't be reached: Connection refused")
        return self._cluster.get(ref)


def waiting(b: Bench, reads: int) -> object:
    cluster: Any = Away(b.ports.cluster, reads)
    ports = msgspec.structs.replace(b.ports, cluster=cluster, clock=StepClock())
    incident: Any = None  # of no interest to who waits for an object to be gone
    ref = ObjectRef(resource=PODS, name="gone-already", namespace=b.box.suspect[0])
    seen = Observed(cluster=cluster, now=ports.clock.now(), settings=ports.settings)
    return apply.apply(Await(condition="gone", ref=ref), incident, ports, seen, 120.0)


def test_a_server_that_is_away_is_said_once_and_waited_for(tmp_path: Path) -> None:
    with bench(tmp_path) as b:
        assert waiting(b, 3) == Done("gone")
        (said,) = [e.text for e in b.events if isinstance(e, Said)]
        assert said.endswith(": https://127.0.0.1:6443 can't be reached: Connection refused; it is waited for, 120 s at most")


def test_one_that_does_not_come_back_in_time_is_the_answer(tmp_path: Path) -> None:
    with bench(tmp_path) as b, pytest.raises(UnreachableError, match="Connection refused"):
        waiting(b, 1_000_000)
