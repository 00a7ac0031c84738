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
from irkit.engine.journal import stamp
from irkit.model.order import Held, Status
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
