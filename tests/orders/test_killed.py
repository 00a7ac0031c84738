"""Whoever carries an order out is killed at any point, or loses its order: the next process goes on, and nothing is doubled."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import bagit
import msgspec
import pytest

from irkit.app.orders import queue
from irkit.app.orders.dispatch import Pulse, turn
from irkit.engine.journal import stamp
from irkit.model.order import Held
from tests.crash.world import WRITES
from tests.faults.harm import Answer, Delay, Kill, Match, Request, after, before
from tests.orders.desk import BOB, Desk, Watched
from tests.orders.test_flow import written


def writes(path: str, method: str = "POST") -> Match:
    """In earnest, to what ends so."""
    return lambda r: r.method == method and r.path.endswith(path) and not r.dry_run


def status(state: str) -> Match:
    """The order is said to be so."""
    return lambda r: r.method == "PATCH" and "/configmaps/irkit-order-" in r.path and f'\\"state\\":\\"{state}\\"'.encode() in r.body


def reads_a_log(request: Request) -> bool:
    return request.path.endswith("/log")


def lists_pods(request: Request) -> bool:
    return request.method == "GET" and request.path.endswith("/pods")


def carried_out(desk: Desk, identifier: str) -> Held:
    """To its end, however often it waits for a decision."""
    while True:
        held = desk.until(identifier, lambda h: h.status.over or h.status.state == "waiting")
        if held.status.over:
            return held
        desk.decide(held)


def once(desk: Desk, held: Held) -> None:
    """One incident, each change once, one bag that every reader accepts."""
    assert held.status.state == "done", held.status
    assert held.status.ended
    assert held.status.ended.exit_code == 0, held.status.ended
    assert desk.home.ids() == [held.status.incident]
    assert written(desk) == WRITES
    assert len(desk.policies) == 1
    bags = list((desk.home.directory(held.status.incident) / "bags").iterdir())
    assert [b.name for b in bags] == ["1"]
    bagit.Bag(str(bags[0])).validate()
    assert Path(held.status.ended.bundle) == bags[0]


POINTS = {
    "while it claims the order": after(Kill()), "while it plans": before(Kill()), "when it says what it planned": before(Kill()),
    "after it said so": after(Kill()), "before the cut": before(Kill()), "after the policy": after(Kill()), "after the cut": after(Kill()),
    "in the collection": before(Kill()), "before the scale-down": before(Kill()), "after the scale-down": after(Kill()),
    "when it says that it is done": before(Kill()), "after it said that": after(Kill()),
}  # fmt: skip
WHERE: dict[str, Match] = {
    "while it claims the order": status("running"), "while it plans": lists_pods, "when it says what it planned": status("waiting"),
    "after it said so": status("waiting"), "before the cut": writes("/networkpolicies"), "after the policy": writes("/networkpolicies"),
    "after the cut": lambda r: r.method == "PATCH" and "/pods/" in r.path and not r.dry_run, "in the collection": reads_a_log,
    "before the scale-down": writes("/scale", "PATCH"), "after the scale-down": writes("/scale", "PATCH"),
    "when it says that it is done": status("done"), "after it said that": status("done"),
}  # fmt: skip


OFTEN = ("while it plans", "after the policy", "in the collection", "before the scale-down")


@pytest.mark.parametrize("point", [p if p in OFTEN else pytest.param(p, marks=pytest.mark.slow) for p in POINTS])
def test_killed_at_some_point_it_is_done_once(point: str, desk: Desk):
    desk.proxy.when(WHERE[point], POINTS[point], times=1)
    began = time.monotonic()
    held = carried_out(desk, desk.submit())
    once(desk, held)
    assert len(desk.runner.begun) == held.status.begun == (2 if point.startswith("after it said") else 3), "one process more than undisturbed"
    assert time.monotonic() - began < 20, "nobody waits for signs of life of a process that is known to be gone"


@pytest.mark.parametrize("point", [
    "after the cut", *(pytest.param(p, marks=pytest.mark.slow) for p in ("after the policy", "in the collection", "before the scale-down",
                                                                         "after the scale-down")),
])  # fmt: skip
def test_killed_together_with_its_disk_it_changes_nothing_twice(point: str, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A Job without a volume: what the next one knows is in the cluster."""

    class Elsewhere(Watched):
        def start(self, held: Held) -> None:
            monkeypatch.setenv("IRKIT_HOME", str(tmp_path / f"home-{held.status.begun}"))
            super().start(held)

    desk.runner.close()
    desk.runner = Elsewhere(desk.proxy)
    desk.proxy.when(WHERE[point], POINTS[point], times=1)
    held = carried_out(desk, desk.submit())
    assert held.status.ended
    assert (held.status.state, held.status.ended.exit_code) == ("done", 0), held.status
    assert written(desk) == WRITES
    assert len(desk.policies) == 1
    assert bagit.Bag(held.status.ended.bundle).is_valid()


def test_killed_each_time_it_fails_and_says_what_is_left_to_do(desk: Desk):
    desk.configure(orders={"attempts": 2})
    desk.proxy.when(writes("/networkpolicies"), after(Kill()))
    desk.proxy.when(lambda r: r.method == "PATCH" and "/pods/" in r.path and not r.dry_run, before(Kill()))
    held = carried_out(desk, desk.submit())
    assert (held.status.state, held.status.begun) == ("failed", 3)
    assert held.status.ended
    assert held.status.ended.next == f"irkit resume {held.status.incident}"
    assert len(desk.policies) == 1


def test_evidence_that_was_broken_off_is_one_bag(desk: Desk):
    desk.proxy.when(reads_a_log, before(Kill()), times=1)
    held = desk.over(desk.submit("collect"))
    assert held.status.ended
    assert held.status.ended.exit_code == 0
    (bag,) = (desk.home.directory(held.status.incident) / "bags").iterdir()
    bagit.Bag(str(bag)).validate()
    assert len(desk.home.ids()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_it_leaves_the_rest_to_the_next(number: int, desk: Desk):
    """As Kubernetes asks a Job whose node is drained."""
    desk.proxy.when(reads_a_log, before(Kill(signal=number)), times=1)
    once(desk, carried_out(desk, desk.submit()))


@pytest.mark.slow
def test_a_cluster_that_is_away_for_a_while_fails_nothing(desk: Desk):
    desk.configure(**{"retry-budget": 0.5})
    desk.proxy.when(lambda r: writes("/networkpolicies")(r) or lists_pods(r), before(Answer(503)), times=4)
    once(desk, carried_out(desk, desk.submit()))


def test_two_who_lead_at_once_begin_one_process_at_a_time(desk: Desk):
    """A Lease can't rule that out; the queue does."""
    other, pulse = Watched(desk.proxy), Pulse(desk.ports.clock)
    over = threading.Event()

    def lead() -> None:
        while not over.is_set():
            turn(desk.queue, other, desk.configured, desk.ports.clock, pulse)

    thread = threading.Thread(target=lead)
    thread.start()
    try:
        held = carried_out(desk, desk.submit())
    finally:
        over.set()
        thread.join()
        other.close()
    once(desk, held)
    assert len(desk.runner.begun) + len(other.begun) == held.status.begun == 2


def test_a_second_process_for_the_same_order_is_refused(desk: Desk):
    identifier = desk.submit("collect")
    held = queue.amend(desk.queue, identifier, lambda h: msgspec.structs.replace(h.status, worker="elsewhere/1", beat=stamp(desk.ports.clock)))
    desk.runner.start(msgspec.structs.replace(held, status=msgspec.structs.replace(held.status, begun=7)))
    (process,) = desk.runner._running.values()
    assert process.wait(20) == 8
    assert desk.queue.get(identifier) == held
    assert desk.home.ids() == []


def test_who_lost_the_order_stops_and_says_nothing_more_of_it(desk: Desk):
    """As after a long sleep: by then another process has it."""
    desk.proxy.when(reads_a_log, before(Delay(30)))
    identifier = desk.submit("collect")
    desk.until(identifier, lambda h: bool(h.status.worker and h.status.incident))
    taken = queue.amend(desk.queue, identifier, lambda h: msgspec.structs.replace(h.status, worker="elsewhere/1", note="mine"))
    (process,) = desk.runner._running.values()
    assert process.wait(25) == 130
    assert desk.queue.get(identifier).status == taken.status


def test_what_a_listener_began_goes_on_though_the_listener_ends(desk: Desk):
    """A restart of everything: the next listener finds the order where it stands."""
    desk.proxy.when(reads_a_log, before(Kill()), times=1)
    identifier = desk.submit()
    waiting = desk.until(identifier, "waiting")
    desk.runner.close()
    desk.runner = Watched(desk.proxy)
    desk.decide(waiting, BOB)
    desk.until(identifier, "running")
    (orphan,) = desk.runner._running.values()
    desk.runner = Watched(desk.proxy)
    reaper = threading.Thread(target=orphan.wait)  # as whoever inherits it would
    reaper.start()
    once(desk, carried_out(desk, identifier))
    reaper.join()


def test_a_child_of_another_listener_that_is_gone_is_known_to_be(desk: Desk):
    import socket

    held = desk.queue.get(desk.submit("collect"))

    def by(worker: str) -> bool | None:
        return desk.runner.alive(msgspec.structs.replace(held, status=msgspec.structs.replace(held.status, worker=worker)))

    gone = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(gone, 0)
    assert by(f"{socket.gethostname()}/{gone}") is False
    assert by(f"{socket.gethostname()}/{os.getpid()}") is None
    assert by("elsewhere/1") is None
    assert by(f"{socket.gethostname()}/{'9' * 40}") is None
    assert by("") is None
