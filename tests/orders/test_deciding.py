"""Whose decision counts, on which plan, until when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from irkit.app.orders.deciding import cancel, decide
from irkit.errors import RefusedError
from irkit.model.order import Held, Needs, Origin, State
from irkit.settings.slack import SlackSettings
from tests.orders.desk import ANN, BOB, CAT, FALCO
from tests.orders.words import PLAN, SETTINGS, cli, waiting


def refused(tmp_path: Path, by: Origin = BOB, needs: Needs = "one", asked: Origin = ANN, **how: Any) -> str:
    """Why a decision does not count; nothing of it is left in the queue."""
    queue, held, clock = waiting(tmp_path, needs, asked)
    clock.sleep(how.pop("after", 0.0))
    with pytest.raises(RefusedError) as caught:
        decide(queue, held.order.id, by, **{"yes": True, "digest": PLAN.digest, "clock": clock, "settings": SETTINGS, **how})
    assert queue.get(held.order.id) == held
    return caught.value.message


def approved(tmp_path: Path, by: Origin, needs: Needs, asked: Origin = ANN) -> Held:
    queue, held, clock = waiting(tmp_path, needs, asked)
    return decide(queue, held.order.id, by, yes=True, digest=PLAN.digest, clock=clock, settings=SETTINGS)


def test_an_approval_queues_it_and_a_refusal_ends_it(tmp_path: Path):
    found = approved(tmp_path / "a", BOB, "one")
    assert (found.status.state, found.status.note, found.status.attempts) == ("queued", "approved by bob (slack U2)", 0)
    queue, held, clock = waiting(tmp_path / "b")
    found = decide(queue, held.order.id, BOB, yes=False, digest=PLAN.digest, clock=clock, settings=SETTINGS)
    assert (found.status.state, [d.yes for d in found.status.decisions]) == ("declined", [False])


def test_where_one_is_enough_whoever_asked_may_approve(tmp_path: Path):
    assert approved(tmp_path, ANN, "one").status.state == "queued"


def test_an_old_plan(tmp_path: Path):
    assert "has another plan now than the one that was decided upon" in refused(tmp_path, digest="e" * 64)


def test_too_late(tmp_path: Path):
    assert "expired at 2026-11-22T04:00:00+00:00" in refused(tmp_path, after=3600.0)


@pytest.mark.parametrize("state", ["planning", "queued", "running", "done", "failed", "declined", "expired"])
def test_what_does_not_wait(state: State, tmp_path: Path):
    queue, held, clock = waiting(tmp_path)
    queue.update(held, msgspec.structs.replace(held.status, state=state))
    with pytest.raises(RefusedError, match=f"does not wait for a decision: it is {state}"):
        decide(queue, held.order.id, BOB, yes=True, digest=PLAN.digest, clock=clock, settings=SETTINGS)


def test_twice(tmp_path: Path):
    queue, held, clock = waiting(tmp_path)
    decide(queue, held.order.id, BOB, yes=True, digest=PLAN.digest, clock=clock, settings=SETTINGS)
    with pytest.raises(RefusedError, match=r"it is queued \(approved by bob \(slack U2\) at 2026"):
        decide(queue, held.order.id, CAT, yes=False, digest=PLAN.digest, clock=clock, settings=SETTINGS)


@pytest.mark.parametrize(("by", "why"), [
    (Origin(door="slack", sender="U9", team="T1"), "is in none of the groups that may approve order"),
    (Origin(door="slack", sender="U77", team="T1"), "is in none of the groups that may approve order"),
    (Origin(door="slack", sender="U2", team="T2"), "is of another workspace"),
    (Origin(door="slack", sender="U2"), "is of another workspace"),
    (FALCO, "is no person"),
])  # fmt: skip
@pytest.mark.parametrize("yes", [True, False])
def test_who_may_not(by: Origin, why: str, yes: bool, tmp_path: Path):
    assert why in refused(tmp_path, by, yes=yes)


def test_nobody_approves_in_a_chat_whose_settings_are_empty(tmp_path: Path):
    assert "of another workspace" in refused(tmp_path, settings=msgspec.structs.replace(SETTINGS, slack=SlackSettings()))


def test_whoever_asked_may_always_decline(tmp_path: Path):
    queue, held, clock = waiting(tmp_path, by=Origin(door="slack", sender="U9", team="T1"))
    found = decide(queue, held.order.id, held.order.origin, yes=False, digest=PLAN.digest, clock=clock, settings=SETTINGS)
    assert found.status.state == "declined"


# two persons


def test_two_persons_are_whoever_asked_and_another(tmp_path: Path):
    assert "needs a second person: ann (slack U1) asked for it" in refused(tmp_path / "a", ANN, "two")
    assert approved(tmp_path / "b", BOB, "two").status.state == "queued"


def test_another_spelling_is_the_same_person(tmp_path: Path):
    assert "asked for it, and can't approve it" in refused(
        tmp_path / "a", Origin(door="slack", sender="U1", shown="Bob", team="T1", channel="C9"), "two"
    )
    assert "asked for it, and can't approve it" in refused(tmp_path / "b", cli("ann@example.com"), "two")
    assert "groups" in refused(tmp_path / "c", Origin(door="slack", sender="U11", team="T1"), "two")


def test_across_doors_the_settings_must_know_both(tmp_path: Path):
    assert approved(tmp_path / "a", cli("bob@example.com"), "two").status.state == "queued"
    assert "irkit can't know that cli eve@example.com and ann (slack U1) are two" in refused(tmp_path / "b", cli("eve@example.com"), "two")
    assert "irkit can't know" in refused(tmp_path / "c", cli("ann@example.com"), "two", asked=CAT)
    assert approved(tmp_path / "d", cli("eve@example.com"), "one").status.state == "queued"


def test_an_alert_is_nobody_so_two_must_approve(tmp_path: Path):
    queue, held, clock = waiting(tmp_path, "two", FALCO)

    def say(by: Origin) -> Held:
        return decide(queue, held.order.id, by, yes=True, digest=PLAN.digest, clock=clock, settings=SETTINGS)

    first = say(BOB)
    assert (first.status.state, first.status.note) == ("waiting", "approved by bob (slack U2); it needs a second person")
    with pytest.raises(RefusedError, match="has approved it already"):
        say(BOB)
    with pytest.raises(RefusedError, match="has approved it already"):
        say(cli("bob@example.com"))
    assert say(CAT).status.state == "queued"


def test_an_approval_that_is_void_is_none(tmp_path: Path):
    queue, held, clock = waiting(tmp_path, "two", FALCO)
    first = decide(queue, held.order.id, BOB, yes=True, digest=PLAN.digest, clock=clock, settings=SETTINGS)
    void = tuple(msgspec.structs.replace(d, void="gone") for d in first.status.decisions)
    queue.update(first, msgspec.structs.replace(first.status, decisions=void))
    second = decide(queue, held.order.id, CAT, yes=True, digest=PLAN.digest, clock=clock, settings=SETTINGS)
    assert (second.status.state, second.status.note) == ("waiting", "approved by cat (slack U3); it needs a second person")


# cancelling


def test_whoever_asked_may_cancel_and_who_may_approve(tmp_path: Path):
    for number, by in enumerate((ANN, BOB)):
        queue, held, clock = waiting(tmp_path / str(number))
        found = cancel(queue, held.order.id, by, clock=clock, settings=SETTINGS)
        assert (found.status.state, found.status.note) == ("declined", f"cancelled by {by.label}")


def test_others_may_not_cancel_and_what_runs_is_not_cancelled(tmp_path: Path):
    queue, held, clock = waiting(tmp_path)
    with pytest.raises(RefusedError, match="in none of the groups"):
        cancel(queue, held.order.id, Origin(door="slack", sender="U9", team="T1"), clock=clock, settings=SETTINGS)
    queue.update(held, msgspec.structs.replace(held.status, state="running"))
    with pytest.raises(RefusedError, match="it is running"):
        cancel(queue, held.order.id, ANN, clock=clock, settings=SETTINGS)
