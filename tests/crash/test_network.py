"""What a network and a busy API server do to requests: retried where that is safe, never done twice, never half believed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from irkit.engine.state import State
from irkit.model.changes import Capture
from irkit.model.outcome import Failed
from tests.crash.world import Undisturbed, World, as_undisturbed, go_on, hasty, world
from tests.e2e.running import finish
from tests.faults.harm import Answer, Cut, Match, Request, Timed, after, before, nth, writes
from tests.sample import parts

PARTS = 16
FAULTS: dict[str, Timed] = {
    "429": before(Answer(429, b"", {"Retry-After": "1"})),
    "500": before(Answer(500)),
    "503": before(Answer(503)),
    "reset before it was asked": before(Cut()),
    "answer lost": after(Cut()),
    "cut in the middle of the body": after(Cut(after_bytes=20)),
}
IMPATIENT = {"retry-budget": 0.5, "request-timeout": 2.0}


def _log(request: Request) -> bool:
    return request.path.endswith("/log")


def _first_time_each(but: Match = lambda request: False) -> Match:
    """Every request once: the one that repeats it passes."""
    seen: set[tuple[object, ...]] = set()

    def hit(request: Request) -> bool:
        key = (request.method, request.path, tuple(sorted(request.query.items())), request.body)
        new = key not in seen
        seen.add(key)
        return new and not but(request)

    return hit


def _harmed(world: World, calm: Undisturbed, match: Match, fault: str) -> None:
    """One run with this fault, which ends as if there had been none."""
    world.harmed(match, FAULTS[fault], *world.contain, times=1_000_000).ended(0)
    as_undisturbed(world, calm)


@pytest.mark.parametrize("fault", ["answer lost", pytest.param("503", marks=pytest.mark.slow)])
def test_every_write_fails_once(tmp_path: Path, calm: Undisturbed, fault: str) -> None:
    with world(tmp_path) as w:
        _harmed(w, calm, _first_time_each(but=lambda r: not writes(r)), fault)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_every_request_fails_once(tmp_path: Path, calm: Undisturbed, fault: str) -> None:
    # what a log's 500 says is the kubelet's own no, which is not asked again; a log that breaks off is another test
    but = _log if fault in ("500", "cut in the middle of the body") else lambda request: False
    with world(tmp_path) as w:
        _harmed(w, calm, _first_time_each(but), fault)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["answer lost", "cut in the middle of the body", "500"])
@pytest.mark.parametrize("part", parts(PARTS, 1))
def test_one_request_fails(tmp_path: Path, calm: Undisturbed, part: int, fault: str) -> None:
    failed = {}
    for number in range(part, calm.requests, PARTS):
        with world(tmp_path, f"{number}") as w:
            hit = nth(number)
            try:
                _harmed(w, calm, lambda r, hit=hit: hit(r) and not (_log(r) and fault != "answer lost"), fault)  # type: ignore[misc]
            except AssertionError as error:
                failed[number] = str(error)[:2000]
    assert not failed


def test_a_write_whose_answer_was_lost_is_undone_by_a_lift(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        before_all = w.final()
        w.harmed(_first_time_each(but=lambda r: not writes(r)), FAULTS["answer lost"], *w.contain, times=1_000_000).ended(0)
        w.irkit.run("lift", "--pod", "return", "--yes").ended(0)
        assert w.restored(before_all) == []


# gone for good


def _gone_from(number: int) -> Match:
    return lambda request: request.number >= number


def _gone(world: World, match: Match) -> None:
    """From some request on nobody answers; the run says so, and its journal is whole."""
    answer = world.harmed(match, before(Cut()), *world.contain, times=1_000_000)
    if answer.code == 0:
        return
    state = world.state if world.incidents else State()
    captured = [state.results.get(call) for call, intent in state.intents.items() if isinstance(intent.change, Capture)]
    answer.ended(6 if any(isinstance(outcome, Failed) for outcome in captured) else 7)
    assert any(text in answer.said for text in ("the connection to", "can't be reached", "did not answer in"))
    if world.incidents:
        assert "irkit resume" in answer.said


def _impatient(world: World, tmp_path: Path) -> World:
    """The same with an operator who waits for nothing longer than a moment."""
    playbooks = hasty(tmp_path / "playbooks", "2s")
    return World(world.box, world.proxy, world.irkit.configured(tmp_path / "config.yaml", **IMPATIENT, playbooks=playbooks))


def _until_back(tmp_path: Path, calm: Undisturbed, match: Callable[[World], Match], name: str = "world") -> World:
    with world(tmp_path, name) as w:
        _gone(_impatient(w, tmp_path), match(w))
        go_on(w)
        as_undisturbed(w, calm)
    return w


@pytest.mark.slow
def test_the_server_goes_away_at_the_cut_and_comes_back(tmp_path: Path, calm: Undisturbed) -> None:
    gone: list[Request] = []

    def match(request: Request) -> bool:
        gone.extend([request] if writes(request) and request.path.endswith("/networkpolicies") else [])
        return bool(gone)

    _until_back(tmp_path, calm, lambda w: match)
    assert gone


@pytest.mark.slow
@pytest.mark.parametrize("part", parts(PARTS, 1))
def test_the_server_goes_away_at_every_request_and_comes_back(tmp_path: Path, calm: Undisturbed, part: int) -> None:
    failed = {}
    for number in range(part, calm.requests, PARTS):
        try:
            _until_back(tmp_path, calm, lambda w, n=number: _gone_from(n), f"{number}")  # type: ignore[misc]
        except AssertionError as error:
            failed[number] = str(error)[:2000]
    assert not failed


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["answer lost", "cut in the middle of the body"])
def test_a_log_that_does_not_come_stops_the_scale_down_until_it_does(tmp_path: Path, calm: Undisturbed, fault: str) -> None:
    with world(tmp_path) as w:
        impatient = _impatient(w, tmp_path)
        sibling = next(p for p in w.pods if p != w.box.suspect[1])
        answer = impatient.harmed(lambda r: _log(r) and sibling in r.path, FAULTS[fault], *w.contain, times=1_000_000).ended(6)
        assert "irkit resume" in answer.said
        assert [e["objectRef"]["resource"] for e in w.changed()] == ["networkpolicies", "pods", "poddisruptionbudgets"], (
            "cut off, and nothing is stopped"
        )
        assert sibling in w.backends(), "it lives as long as its evidence is not stored"
        go_on(w)
        w.lawful()
        assert w.final() == calm.final
        assert w.bag() >= calm.bag
        assert w.logs() == calm.logs


@pytest.mark.slow
@pytest.mark.parametrize("write", [0, 1, 2])
def test_a_write_that_was_done_when_the_server_went_away_is_undone_by_a_lift(tmp_path: Path, calm: Undisturbed, write: int) -> None:
    """No answer came to it in all of the run: the run after it finds it done, and what it found done is lifted, too."""
    with world(tmp_path) as w:
        then, seen = w.final(), list[Request]()

        def lost(request: Request) -> bool:
            seen.extend([request] if writes(request) else [])
            return len(seen) > write and request is seen[write]

        w.proxy.when(lost, FAULTS["answer lost"])
        w.proxy.when(lambda r: len(seen) > write, FAULTS["reset before it was asked"])
        finish(_impatient(w, tmp_path).begin(*w.contain)).ended(7)
        w.proxy.heal()
        go_on(w)
        as_undisturbed(w, calm)
        w.irkit.run("lift", "--pod", "return", "--yes").ended(0)
        assert w.restored(then) == []
