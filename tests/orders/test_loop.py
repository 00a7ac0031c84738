"""The loop around the leader's turns, and its log: whatever fails, it goes on."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from irkit.adapters.clock import SystemClock
from irkit.adapters.orderfiles import OrderFiles
from irkit.app.orders.queue import submit
from irkit.errors import ForbiddenError, UnreachableError
from irkit.listeners.log import Log
from irkit.listeners.loop import Loop
from irkit.model.order import Held, Status
from irkit.settings import Settings
from irkit.settings.orders import OrderSettings
from tests.clocks import StepClock
from tests.orders.office import Office
from tests.orders.words import order


class Broken:
    """A queue that is out until it is not."""

    where = "nowhere"

    def __init__(self, queue: OrderFiles) -> None:
        self.queue, self.out = queue, True

    def __getattr__(self, name: str) -> Any:
        if self.out:
            raise UnreachableError("no answer")
        return getattr(self.queue, name)


def looped(office: Office, leads: Callable[[], bool] = lambda: True, tell: Sequence[Callable[[Sequence[Held]], None]] = (), queue: Any = None) -> Any:
    said = io.StringIO()
    loop = Loop(queue or office.queue, office.runner, office.settings, SystemClock(), Log(SystemClock(), said), leads, tell)
    over = threading.Event()
    thread = threading.Thread(target=loop.run, args=(over,), daemon=True)
    thread.start()
    return loop, over, thread, said


def eventually(wish: Callable[[], object], seconds: float = 8) -> None:
    end = time.monotonic() + seconds
    while not wish():
        assert time.monotonic() < end
        time.sleep(0.01)


def ended(over: threading.Event, thread: threading.Thread) -> None:
    over.set()
    thread.join(10)
    assert not thread.is_alive()


def test_the_loop_sees_to_orders_tells_and_counts(tmp_path: Path):
    office, told = Office(tmp_path), list[int]()
    office.settings = Settings(orders=OrderSettings())
    fresh = order("a", created="2026-11-22T03:00:00Z", expires="2096-11-22T03:00:00+00:00")
    loop, over, thread, _ = looped(office, tell=[lambda held: told.append(len(held))])
    submit(office.queue, fresh, SystemClock())
    loop.wake()
    eventually(lambda: office.runner.begun and 1 in told)
    counts = loop.counts
    assert (counts.leads, counts.orders, counts.failed, counts.untold) == (True, {"planning": 1}, 0, 0)
    assert counts.turns > 0
    ended(over, thread)


def test_who_does_not_lead_does_nothing(tmp_path: Path):
    office = Office(tmp_path)
    office.submit()
    loop, over, thread, _ = looped(office, leads=lambda: False)
    time.sleep(0.6)
    assert office.runner.begun == []
    assert (loop.counts.leads, loop.counts.turns, loop.counts.orders) == (False, 0, {})
    ended(over, thread)


def test_a_chat_that_is_out_or_slow_holds_no_order_up(tmp_path: Path):
    office, stuck = Office(tmp_path), threading.Event()

    def out(held: Sequence[Held]) -> None:
        raise UnreachableError("Slack does not answer")

    def slow(held: Sequence[Held]) -> None:
        stuck.wait(20)

    loop, over, thread, said = looped(office, tell=[out, slow])
    eventually(lambda: loop.counts.untold)
    turns = loop.counts.turns
    eventually(lambda: loop.counts.turns > turns + 1)
    stuck.set()
    line = json.loads(said.getvalue().splitlines()[0])
    assert (line["event"], line["level"], line["why"]) == ("not-told", "warning", "Slack does not answer")
    ended(over, thread)


def test_a_queue_that_is_out_is_said_and_tried_again(tmp_path: Path):
    office = Office(tmp_path)
    queue = Broken(office.queue)
    loop, over, thread, said = looped(office, queue=queue)
    eventually(lambda: loop.counts.failed)
    assert json.loads(said.getvalue().splitlines()[0])["event"] == "turn-failed"
    queue.out = False
    loop.wake()
    eventually(lambda: loop.counts.turns)
    ended(over, thread)


class Hostile(OrderFiles):
    """A queue in which nobody can change the orders that somebody else put there."""

    def update(self, held: Held, status: Status) -> Held:
        if held.order.target == "immutable":
            raise ForbiddenError("field is immutable")
        return super().update(held, status)


def test_an_order_that_can_not_be_changed_keeps_no_other_waiting_and_is_said_once(tmp_path: Path):
    office = Office(tmp_path)
    office.settings = Settings(orders=OrderSettings())
    queue = Hostile(tmp_path, 100)
    for name, created in (("immutable", "2026-11-22T03:00:00Z"), ("web", "2026-11-22T03:00:01Z")):
        submit(queue, order(name, target=name, created=created, expires="2096-11-22T03:00:00+00:00"), SystemClock())
    loop, over, thread, said = looped(office, queue=queue)
    eventually(lambda: loop.counts.turns > 4)
    ended(over, thread)
    assert office.runner.begun == ["web 1"]
    lines = [json.loads(line) for line in said.getvalue().splitlines()]
    assert [(line["event"], line["why"]) for line in lines] == [("order-left", "field is immutable")]
    assert loop.counts.orders == {"planning": 2}


def test_a_mistake_of_our_own_ends_neither_the_loop_nor_what_tells(tmp_path: Path):
    office, told = Office(tmp_path), list[int]()
    leads = iter([KeyError("x"), OverflowError("y")])

    def wrong() -> bool:
        if error := next(leads, None):
            raise error
        return True

    def tell(held: Sequence[Held]) -> None:
        told.append(1)
        raise KeyError("z")

    loop, over, thread, said = looped(office, leads=wrong, tell=[tell])
    for _ in range(3):
        eventually(lambda: loop.wake() or loop.counts.failed == 2)
    eventually(lambda: len(told) > 1)
    ended(over, thread)
    whys = [line["why"] for line in map(json.loads, said.getvalue().splitlines())]
    assert whys[:3] == ["inside irkit: KeyError", "inside irkit: OverflowError", "KeyError"]


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_log_that_can_not_be_written_stops_nothing():
    Log(StepClock(), Full())("refused", why="a")
    closed = io.StringIO()
    closed.close()
    Log(StepClock(), closed)("refused", why="a")


def test_the_log_is_one_line_each_whatever_a_stranger_wrote():
    out = io.StringIO()
    Log(StepClock(), out)("refused", level="warning", why="a\nb\x1b[31m\u202e" + "x" * 5000, count=3, yes=True, nothing=None)
    (line,) = out.getvalue().splitlines()
    assert line.isascii()
    found = json.loads(line)
    assert (found["event"], found["level"], found["count"], found["yes"], found["nothing"]) == ("refused", "warning", 3, True, None)
    assert len(found["why"]) <= 500
    assert "\x1b" not in found["why"]
