"""The leader's turns: what is begun, when the next process is, what expires, what is forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from irkit.app.orders.dispatch import PATIENCE
from irkit.app.orders.queue import STALE, alive, submit
from irkit.engine.journal import stamp
from irkit.model.order import Decision, Origin, State, Status
from tests.clocks import StepClock
from tests.orders.desk import ANN
from tests.orders.office import Office
from tests.orders.words import PLAN, order


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


def test_many_attempts_are_no_number_too_large(tmp_path: Path):
    office = Office(tmp_path, lambda held: False)
    identifier = office.submit()
    office.put(identifier, attempts=5000)
    office.turn(60)
    assert office.status(identifier).state == "failed"
