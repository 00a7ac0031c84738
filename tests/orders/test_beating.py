"""Whoever works on an order says so, whatever comes in between."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from irkit.adapters.clock import SystemClock
from irkit.adapters.orderfiles import OrderFiles
from irkit.app.orders.beating import beating
from irkit.app.orders.queue import BEAT
from irkit.app.orders.work import work
from irkit.engine.journal import stamp
from irkit.model.announcement import Announcement
from irkit.model.order import Held, Status
from tests.orders.desk import Desk
from tests.orders.words import waiting


class Odd(OrderFiles):
    """The first update ends as nobody expects."""

    failures = 1

    def update(self, held: Held, status: Status) -> Held:
        if self.failures:
            self.failures -= 1
            raise KeyError("resourceVersion")
        return super().update(held, status)


def test_a_mistake_of_our_own_ends_no_sign_of_life(tmp_path: Path):
    queue, held, _ = waiting(tmp_path)
    clock = SystemClock()
    held = queue.update(held, msgspec.structs.replace(held.status, state="running", worker="me", beat=stamp(clock)))
    odd, stopped, ports = Odd(tmp_path, 10), list[int](), SimpleNamespace(clock=clock)
    with beating(ports, odd, held, lambda: stopped.append(1)) as say:  # type: ignore[arg-type]
        notes: Any = iter(range(1000))
        end = time.monotonic() + 10
        while not queue.get(held.order.id).status.note:
            assert time.monotonic() < end, "no sign of life came through"
            say(f"step {next(notes)}")
            time.sleep(0.1)
    assert stopped == []


class Slow:
    """A pager that answers after more than a sign of life."""

    def __init__(self) -> None:
        self.told: list[Announcement] = []

    def tell(self, announcement: Announcement) -> None:
        self.told.append(announcement)

    def wait(self) -> list[str]:
        time.sleep(BEAT + 2)
        return []


def test_a_slow_pager_is_told_that_a_plan_waits_before_the_process_ends(desk: Desk):
    """The order is waiting by then, and nobody's: who gives signs of life for it would take that for the loss of it, and stop."""
    identifier, slow, stopped = desk.submit(), Slow(), list[int]()
    work(msgspec.structs.replace(desk.ports, announcer=slow), desk.queue, identifier, "me/1", lambda: stopped.append(1))
    assert desk.queue.get(identifier).status.state == "waiting"
    assert [said.event for said in slow.told] == ["approval"]
    assert stopped == []
