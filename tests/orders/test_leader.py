"""One leads: by a Lease where processes share a cluster, by a lock where they share a machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from irkit.adapters.clock import SystemClock
from irkit.engine.leader import DEADLINE, DURATION, FileLeader, LeaseLeader
from irkit.errors import ConflictError, UnreachableError
from irkit.model.kube import LEASES, ObjectRef
from irkit.model.order import SYSTEM_NAMESPACE
from irkit.ports import Cluster
from tests.clocks import StepClock
from tests.controlplane.running import Running
from tests.faults.harm import Answer, anything, before
from tests.faults.proxy import Proxy

LEASE = ObjectRef(resource=LEASES, name="irkit-listener", namespace=SYSTEM_NAMESPACE)
CANDIDATE = """
import sys, threading, time
from irkit import wiring
configured = wiring.settings()
with wiring.cluster(configured) as connected:
    leader = wiring.leader(configured, wiring.orders(configured, connected))
leader.start()
print("up", flush=True)
over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
was = None
while not over.wait(0.05):
    if (leads := leader.leads()) != was:
        print(time.monotonic(), leads, flush=True)
        was = leads
leader.close()
print(time.monotonic(), False, flush=True)
"""


def spec(cluster: Cluster) -> dict[str, Any]:
    found: dict[str, Any] = cluster.get(LEASE)["spec"]
    return found


class Pair:
    """Two candidates, each with a clock of its own: nothing is known of the other's."""

    def __init__(self, cluster: Cluster) -> None:
        self.clocks = StepClock(), StepClock()
        self.one = LeaseLeader(cluster, self.clocks[0], "one")
        self.two = LeaseLeader(cluster, self.clocks[1], "two")

    def sleep(self, seconds: float) -> None:
        for clock in self.clocks:
            clock.sleep(seconds)


def test_who_comes_first_leads_and_goes_on_leading(cluster: Cluster):
    pair = Pair(cluster)
    for _ in range(20):
        pair.one.look()
        pair.two.look()
        assert (pair.one.leads(), pair.two.leads()) == (True, False)
        pair.sleep(2)
    assert (spec(cluster)["holderIdentity"], spec(cluster)["leaseTransitions"], spec(cluster)["leaseDurationSeconds"]) == ("one", 0, 10)


def test_a_leader_that_is_gone_is_followed_once_its_lease_was_seen_unchanged(cluster: Cluster):
    pair = Pair(cluster)
    pair.one.look()
    pair.two.look()
    pair.sleep(DURATION - 0.1)
    pair.two.look()
    assert not pair.two.leads()
    assert not pair.one.leads(), "who could not renew it does not lead any more, before another one does"
    pair.sleep(0.2)
    pair.two.look()
    assert pair.two.leads()
    assert (spec(cluster)["holderIdentity"], spec(cluster)["leaseTransitions"]) == ("two", 1)
    pair.one.look()
    assert not pair.one.leads()


def test_what_the_lease_says_of_times_does_not_matter(cluster: Cluster):
    """Clocks may differ by hours; and whoever may write there may write anything."""
    pair = Pair(cluster)
    pair.one.look()
    for renewed, seconds in (("1999-01-01T00:00:00.000000Z", 1), ("2999-01-01T00:00:00.000000Z", 2147483647)):
        version = cluster.get(LEASE)["metadata"]["resourceVersion"]
        body = {"metadata": {"resourceVersion": version}, "spec": {"renewTime": renewed, "leaseDurationSeconds": seconds}}
        cluster.patch(LEASE, body)
        pair.two.look()
        assert not pair.two.leads(), "it was changed just now"
        pair.sleep(1)
    pair.sleep(DURATION)
    pair.two.look()
    assert pair.two.leads()


def test_it_is_given_back_at_the_end(cluster: Cluster):
    pair = Pair(cluster)
    pair.one.look()
    pair.two.look()
    pair.one.close()
    assert not pair.one.leads()
    assert spec(cluster)["holderIdentity"] == ""
    pair.two.look()
    assert pair.two.leads()


def test_who_does_not_lead_gives_nothing_back(cluster: Cluster):
    pair = Pair(cluster)
    pair.one.look()
    pair.two.look()
    pair.two.close()
    assert spec(cluster)["holderIdentity"] == "one"


def test_two_who_take_it_at_once(cluster: Cluster):
    """The resourceVersion decides."""
    pair = Pair(cluster)

    class Slow:
        """Lets the other one be quicker between a look and a write."""

        def __getattr__(self, name: str) -> Any:
            return getattr(cluster, name)

        def patch(self, *given: Any, **more: Any) -> Any:
            pair.one.look()
            return cluster.patch(*given, **more)

    pair.one.look()
    pair.one.close()
    pair.one = LeaseLeader(cluster, pair.clocks[0], "one again")
    slow = LeaseLeader(Slow(), pair.clocks[1], "slow")
    with pytest.raises(ConflictError):
        slow.look()
    assert (pair.one.leads(), slow.leads()) == (True, False)


def test_a_server_that_does_not_answer_ends_leadership_in_time(cluster: Cluster):
    clock, heard = StepClock(), list[str]()

    class Away:
        def __init__(self) -> None:
            self.away = False

        def __getattr__(self, name: str) -> Any:
            if self.away:
                raise UnreachableError("no answer")
            return getattr(cluster, name)

    away = Away()
    leader = LeaseLeader(away, clock, "one", heard=heard.append)
    leader.look()
    away.away = True
    clock.sleep(DEADLINE - 0.1)
    with pytest.raises(UnreachableError):
        leader.look()
    assert leader.leads()
    clock.sleep(0.2)
    assert not leader.leads()


def test_on_one_machine_a_lock_decides(tmp_path: Path):
    one, two = FileLeader(tmp_path, "one"), FileLeader(tmp_path, "two")
    assert [one.leads(), two.leads(), one.leads()] == [True, False, True]
    one.close()
    assert two.leads()
    two.close()


# processes, in real time


@dataclass
class Candidate:
    process: subprocess.Popen[str]
    output: Path

    def said(self) -> list[tuple[float, bool]]:
        lines = [line.split() for line in self.output.read_text().splitlines() if line != "up"]
        return [(float(at), leads == "True") for at, leads in lines]

    @property
    def leads(self) -> bool:
        return bool(self.said()) and self.said()[-1][1]


@pytest.fixture
def candidate(tmp_path: Path) -> Iterator[Callable[[Path], Candidate]]:
    begun: list[Candidate] = []

    def begin(kubeconfig: Path) -> Candidate:
        output = tmp_path / f"candidate-{len(begun)}"
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": str(kubeconfig), "IRKIT_HOME": str(tmp_path / "home")}
        with output.open("w") as file:
            process = subprocess.Popen([sys.executable, "-c", CANDIDATE], stdin=subprocess.PIPE, stdout=file, text=True, env=environ)
        begun.append(Candidate(process, output))
        until(lambda: "up" in output.read_text(), 30)
        return begun[-1]

    yield begin
    for one in begun:
        one.process.kill()
        one.process.communicate()


def until(wish: Callable[[], bool], seconds: float) -> float:
    """How long it took."""
    began = time.monotonic()
    while not wish():
        assert time.monotonic() - began < seconds, f"not within {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - began


def changes_hands(candidate: Callable[[Path], Candidate], kubeconfig: Path) -> None:
    first = candidate(kubeconfig)
    until(lambda: first.leads, 10)
    second = candidate(kubeconfig)
    time.sleep(1)
    assert not second.leads
    os.kill(first.process.pid, signal.SIGKILL)
    took = until(lambda: second.leads, 15)
    assert took < 15
    third = candidate(kubeconfig)
    second.process.communicate("")  # asked to end
    assert until(lambda: third.leads, 5) < 5, "what is given back need not be waited for"


@pytest.mark.slow
def test_a_killed_leader_is_followed_within_15_seconds(cluster: Cluster, tmp_path: Path, candidate: Callable[[Path], Candidate]):
    changes_hands(candidate, tmp_path / "kubeconfig")


@pytest.mark.slow
@pytest.mark.controlplane
def test_a_killed_leader_is_followed_within_15_seconds_on_a_real_control_plane(system: Running, candidate: Callable[[Path], Candidate]):
    changes_hands(candidate, system.token_kubeconfig)


@pytest.mark.slow
def test_a_leader_that_is_cut_off_has_stopped_before_another_leads(cluster: Cluster, tmp_path: Path, candidate: Callable[[Path], Candidate]):
    with Proxy(tmp_path / "kubeconfig") as proxy:
        first = candidate(proxy.kubeconfig)
        until(lambda: first.leads, 10)
        second = candidate(tmp_path / "kubeconfig")
        proxy.when(anything, before(Answer(503)))
        until(lambda: second.leads, 15)
        (stopped,) = [at for at, leads in first.said() if not leads and at > first.said()[0][0]]
        (began,) = [at for at, leads in second.said() if leads]
        assert stopped < began


def test_a_candidate_says_what_becomes_of_it(cluster: Cluster):
    heard = list[str]()
    leader = LeaseLeader(cluster, StepClock(), "one", heard=heard.append)
    leader.start()
    until(lambda: heard == ["leads"], 10)
    leader.close()
    assert json.dumps(heard) == '["leads"]'


def test_an_answer_that_nobody_expects_ends_no_candidacy(cluster: Cluster):
    class Odd:
        """A cluster whose first answer is no Lease."""

        def __init__(self) -> None:
            self.answers: Iterator[Any] = iter([{"metadata": {}}])

        def __getattr__(self, name: str) -> Any:
            return getattr(cluster, name)

        def get(self, ref: ObjectRef) -> Any:
            return next(self.answers, None) or cluster.get(ref)

    heard = list[str]()
    leader = LeaseLeader(Odd(), SystemClock(), "odd", heard=heard.append)  # type: ignore[arg-type]
    leader.start()
    until(lambda: "leads" in heard, 10)
    leader.close()
    assert heard == ["the Lease can't be seen to: inside irkit: KeyError", "follows", "leads"]
