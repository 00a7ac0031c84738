"""The leader's turns: what is begun, when the next process is, what expires, what is forgotten; and the loop around them."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from irkit.adapters.clock import SystemClock
from irkit.adapters.orderfiles import OrderFiles
from irkit.app.orders.dispatch import PATIENCE, Pulse, turn
from irkit.app.orders.queue import STALE, alive, submit
from irkit.engine.journal import stamp
from irkit.errors import ForbiddenError, UnreachableError
from irkit.listeners.log import Log
from irkit.listeners.loop import Loop
from irkit.model.order import Decision, Held, Origin, State, Status
from irkit.settings import Settings
from irkit.settings.orders import OrderSettings
from tests.clocks import StepClock
from tests.orders.desk import ANN
from tests.orders.words import PLAN, order


class Starts:
    """A runner that only notes; ``says``: whether a process goes on, by what its order and number are."""

    def __init__(self, says: Callable[[Held], bool | None] = lambda held: True) -> None:
        self.begun: list[str] = []
        self.says = says
        self.why = ""

    def start(self, held: Held) -> None:
        self.begun.append(f"{held.order.target} {held.status.begun}")
        if self.why:
            raise ForbiddenError(self.why)

    def alive(self, held: Held) -> bool | None:
        return self.says(held)

    def close(self) -> None: ...


class Office:
    """A queue, a clock that stands still, and a runner."""

    def __init__(self, directory: Path, says: Callable[[Held], bool | None] = lambda held: True, **settings: Any) -> None:
        self.clock, self.runner = StepClock(), Starts(says)
        self.pulse = Pulse(self.clock)
        self.queue = OrderFiles(directory, 100)
        self.settings = Settings(orders=OrderSettings(**settings))

    def submit(self, name: str = "web", needs: str = "one", by: Origin = ANN) -> str:
        return submit(self.queue, order(name, needs, by, target=name), self.clock)[0].order.id  # type: ignore[arg-type]

    def turn(self, after: float = 0.0) -> Sequence[Held]:
        self.clock.sleep(after)
        return turn(self.queue, self.runner, self.settings, self.clock, self.pulse)

    def put(self, identifier: str, **changes: Any) -> Held:
        held = self.queue.get(identifier)
        return self.queue.update(held, msgspec.structs.replace(held.status, **{"changed": stamp(self.clock), **changes}))

    def claim(self, identifier: str, state: State = "planning") -> None:
        self.put(identifier, state=state, worker="somewhere/1", beat=stamp(self.clock))

    def status(self, identifier: str) -> Status:
        return self.queue.get(identifier).status


def test_a_process_is_begun_once(tmp_path: Path):
    office = Office(tmp_path)
    office.submit()
    for _ in range(5):
        office.turn(1)
    assert office.runner.begun == ["web 1"]


def test_what_waits_for_a_decision_is_left_alone(tmp_path: Path):
    office = Office(tmp_path)
    office.put(office.submit(), state="waiting", planned=PLAN)
    office.turn(60)
    assert office.runner.begun == []


def test_who_is_known_to_be_gone_is_followed_after_a_pause_that_grows(tmp_path: Path):
    office = Office(tmp_path, lambda held: False)
    identifier = office.submit()
    when = []
    for second in range(70):
        before = len(office.runner.begun)
        office.turn(1)
        when += [second] * (len(office.runner.begun) - before)
    assert [b - a for a, b in pairwise(when)] == [2, 4, 8, 16]
    status = office.status(identifier)
    assert (status.state, status.begun) == ("failed", 5)
    assert status.ended
    assert status.ended.summary == "no process that began with it came to an end"


def test_of_whom_nothing_is_known_it_is_waited_for_as_long_as_a_start_may_take(tmp_path: Path):
    office = Office(tmp_path, lambda held: None)
    office.submit()
    office.turn()
    office.turn(PATIENCE - 1)
    assert office.runner.begun == ["web 1"]
    office.turn(2)
    assert office.runner.begun == ["web 1", "web 2"]


def test_who_is_known_to_be_about_to_start_is_waited_for(tmp_path: Path):
    """An image that is pulled for minutes."""
    office = Office(tmp_path, lifetime=86400.0)
    office.submit()
    office.turn()
    office.turn(1800)
    assert office.runner.begun == ["web 1"]


def test_who_gives_no_sign_of_life_is_followed(tmp_path: Path):
    office = Office(tmp_path)
    identifier = office.submit()
    office.turn()
    office.claim(identifier)
    office.turn()
    office.turn(STALE - 1)
    assert office.runner.begun == ["web 1"]
    office.turn(2)
    assert office.runner.begun == ["web 1", "web 2"]


def test_signs_of_life_of_who_is_gone_are_old_ones(tmp_path: Path):
    gone = False
    office = Office(tmp_path, lambda held: not gone)
    identifier = office.submit()
    office.turn()
    office.claim(identifier, "running")
    office.turn(1)
    assert office.runner.begun == ["web 1"]
    gone = True
    office.turn(1)
    assert office.runner.begun == ["web 1", "web 2"]
    assert office.status(identifier).state == "running", "it goes on where it was"


@pytest.mark.parametrize(("beat", "counts"), [
    ("2026-11-22T02:59:01Z", True), ("2026-11-22T03:59:59Z", True), ("2026-11-22T02:58:59Z", False), ("2027-01-01T00:00:00Z", False), ("", False),
])  # fmt: skip
def test_who_would_take_an_order_over_counts_signs_of_life_of_the_future_for_an_hour(beat: str, counts: bool):
    """A machine's clock may be wrong; a sign of life of next year is no sign."""
    status = Status(state="running", changed="2026-11-22T03:00:00Z", worker="x/1", beat=beat)
    assert alive(status, StepClock().now()) is counts


@pytest.mark.parametrize("their_clock", ["2020-01-01T00:00:00Z", "2026-11-22T03:00:00Z", "2033-01-01T00:00:00Z"])
def test_clocks_that_differ_do_not_matter_to_who_looks_on(their_clock: str, tmp_path: Path):
    office = Office(tmp_path, lambda held: None, lifetime=86400.0)
    identifier = office.submit()

    def look(after: float) -> list[str]:
        office.turn(after)
        return office.runner.begun

    look(0)
    began = datetime.fromisoformat(their_clock)
    for number in range(10):
        office.put(identifier, worker="x/1", beat=(began + timedelta(seconds=number)).isoformat())
        assert look(STALE - 1) == ["web 1"], "it gives signs of life"
    assert look(STALE) == ["web 1", "web 2"], "and then no more"


def test_a_runner_that_can_not_is_said_and_tried_again(tmp_path: Path):
    office = Office(tmp_path, lambda held: False)
    identifier = office.submit()
    office.runner.why = "you may not create jobs"
    office.turn()
    assert office.status(identifier).note == "you may not create jobs"
    office.runner.why = ""
    office.turn(2)
    assert office.runner.begun == ["web 1", "web 2"]


def test_so_many_at_once_and_no_more(tmp_path: Path):
    office = Office(tmp_path, most_running=2)
    identifiers = [office.submit(f"web-{n}", "nobody") for n in range(5)]
    office.turn()
    office.turn()
    assert len(office.runner.begun) == 2
    begun = [i for i in identifiers if office.status(i).begun]
    office.put(begun[0], state="done")
    office.turn()
    assert len(office.runner.begun) == 3


def test_what_people_ask_for_comes_before_alerts_and_finds_room(tmp_path: Path):
    """However many alerts came before, and have all the processes that they may have."""
    office, alert = Office(tmp_path, most_running=4), Origin(door="webhook", sender="falco")
    for number in range(6):
        office.submit(f"alert-{number}", "nobody", alert)
    office.turn()
    assert len(office.runner.begun) == 3
    approved = office.submit("approved", "one", alert)
    decided = Decision(by=ANN, yes=True, at=stamp(office.clock), digest=PLAN.digest)
    office.put(approved, state="queued", planned=PLAN, decisions=(decided,))
    office.turn()
    assert office.runner.begun[3:] == ["approved 1"], "what somebody approved is that person's"
    office.put(approved, state="done")
    office.submit("web")
    office.turn()
    assert office.runner.begun[4:] == ["web 1"]


def test_whom_runs_is_counted_before_anybody_is_begun(tmp_path: Path):
    """An older order that comes back from its plan does not go beyond the bound."""
    office = Office(tmp_path, most_running=1)
    _, second = sorted([office.submit("a", "nobody"), office.submit("b", "nobody")])
    office.put(second, state="running", attempts=1, begun=1, worker="x/1", beat=stamp(office.clock))
    office.turn()
    assert office.runner.begun == []


@pytest.mark.parametrize(("state", "note"), [
    ("waiting", "nobody approved it in time"), ("planning", "nobody began with it in time"), ("queued", "nobody began with it in time"),
])  # fmt: skip
def test_what_is_too_old_expires(state: State, note: str, tmp_path: Path):
    office = Office(tmp_path, lambda held: False)
    identifier = office.submit()
    office.put(identifier, state=state, planned=PLAN)
    office.turn(3600)
    assert (office.status(identifier).state, office.status(identifier).note) == ("expired", note)
    assert office.runner.begun == []


def test_what_runs_does_not_expire(tmp_path: Path):
    office = Office(tmp_path, lambda held: False)
    identifier = office.submit()
    office.claim(identifier, "running")
    office.turn(3600)
    assert office.runner.begun == ["web 1"]


def test_what_is_long_over_is_forgotten_and_not_before(tmp_path: Path):
    office = Office(tmp_path, kept=100.0)
    identifier = office.submit()
    office.put(identifier, state="done")
    assert len(office.turn(99)) == 1
    assert submit(office.queue, order("web", target="web"), office.clock)[1] is False, "so long the same event makes no second one"
    assert len(office.turn(2)) == 0
    assert office.queue.list() == []


# the loop


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


def test_many_attempts_are_no_number_too_large(tmp_path: Path):
    office = Office(tmp_path, lambda held: False)
    identifier = office.submit()
    office.put(identifier, attempts=5000)
    office.turn(60)
    assert office.status(identifier).state == "failed"


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
