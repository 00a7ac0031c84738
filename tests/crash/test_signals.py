"""Ctrl-C and SIGTERM at any moment: 130 at once, even where the server says nothing; the journal is intact; the next command is said."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.crash.terminal import asking
from tests.crash.world import SHARED, Undisturbed, World, as_undisturbed, go_on, world
from tests.e2e.running import finish
from tests.faults.harm import Delay, Kill, Match, Request, Timed, after, before, nth, writes
from tests.sample import parts

WHEN = {"before": before, "after": after}
SIGNALS = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM}
PROMPT = 3.0  # seconds in which a person expects Ctrl-C to have worked
SILENCE = 20.0  # seconds for which the server says nothing, once the signal was sent
PARTS = 16


def said_what_is_next(world: World, stderr: str) -> None:
    last = "\n".join(stderr.strip().splitlines()[-3:])
    if world.incidents:
        assert f"irkit resume {world.incident}" in last, stderr
        assert world.state.runs[-1].event == "interrupted"
    else:
        assert "130: interrupted; nothing was changed" in last, stderr
        assert not world.changed()


def interrupted(world: World, match: Match, timed: Timed, *words: str) -> bool:
    """Whether the signal came before the run was over; what it said is checked."""
    hit: list[float] = []

    def timing(request: object) -> bool:
        if not hit and match(request):  # type: ignore[arg-type]
            hit.append(time.monotonic())
            return True
        return False

    world.proxy.when(timing, timed)
    answer = finish(world.begin(*(words or world.contain)), timeout=SILENCE)
    took = time.monotonic() - hit[0] if hit else 0.0
    world.proxy.heal()
    if not hit:
        return False
    answer.ended(130)
    assert took < PROMPT, f"it took {took:.1f} s to end"
    if "the run was over" in answer.stderr:  # it came between the last record and the end
        return False
    said_what_is_next(world, answer.stderr)
    return True


def _then_goes_on(world: World, calm: Undisturbed) -> None:
    go_on(world)
    as_undisturbed(world, calm)


def test_ctrl_c_while_the_answer_to_the_cut_is_awaited(tmp_path: Path, calm: Undisturbed) -> None:
    with world(tmp_path) as w:
        assert interrupted(w, writes, after(Kill(signal.SIGINT, SILENCE)))
        _then_goes_on(w, calm)


@pytest.mark.slow
def test_sigterm_while_logs_are_awaited(tmp_path: Path, calm: Undisturbed) -> None:
    with world(tmp_path) as w:
        assert interrupted(w, lambda r: r.path.endswith("/log"), before(Kill(signal.SIGTERM, SILENCE)))
        _then_goes_on(w, calm)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["after", pytest.param("before", marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("part", parts(PARTS, 1))
def test_a_signal_at_every_request(tmp_path: Path, calm: Undisturbed, part: int, when: str) -> None:
    failed, missed = {}, 0
    for request in range(part, calm.requests, PARTS):
        with world(tmp_path, f"{request}") as w:
            try:
                missed += not interrupted(w, nth(request), WHEN[when](Kill(list(SIGNALS.values())[request // PARTS % 2], SILENCE)))
                _then_goes_on(w, calm)
            except AssertionError as error:
                failed[request] = str(error)[:2000]
    assert not failed
    assert missed <= 1, "how many requests there are varies by a few looks while waiting, and by no more"


@pytest.mark.slow
@pytest.mark.parametrize("number", ["SIGINT", pytest.param("SIGTERM", marks=pytest.mark.exhaustive)])
def test_a_signal_at_any_time(tmp_path: Path, calm: Undisturbed, number: str) -> None:
    """Whatever it is doing, starting up and printing the outcome included."""
    codes = []
    for step in range(40):
        with world(tmp_path, f"{step}") as w:
            process = w.begin(*w.contain)
            time.sleep(0.06 + step * 0.02)
            os.kill(process.pid, SIGNALS[number])
            answer = finish(process)
            assert "Traceback" not in answer.stderr, answer.stderr
            assert answer.code in (0, 130), f"{answer.code}: {answer.stderr}"
            codes.append(answer.code)
            if answer.code == 130 and "the run was over" not in answer.stderr:
                said_what_is_next(w, answer.stderr)
            go_on(w)
            as_undisturbed(w, calm)
    assert 130 in codes


@pytest.mark.parametrize(
    ("question", "number"), [(2, "SIGINT"), *(pytest.param(*p, marks=pytest.mark.slow) for p in ((1, "SIGINT"), (1, "SIGTERM"), (2, "SIGTERM")))]
)
def test_a_signal_at_a_question(tmp_path: Path, calm: Undisturbed, question: int, number: str) -> None:
    with world(tmp_path) as w:
        with asking(w.irkit, *w.contain[:-1]) as run:
            run.wait_for_question()
            for _ in range(question - 1):
                run.answer("y")
                run.wait_for_question()
            begun = time.monotonic()
            os.kill(run.process.pid, SIGNALS[number])
            assert run.end() == 130
            assert time.monotonic() - begun < PROMPT
        assert bool(w.incidents) == (question == 2), "the incident begins with the first yes"
        said_what_is_next(w, run.shown.decode())
        _then_goes_on(w, calm)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "again"), [(("lift", "--pod", "return", "--yes"), "irkit lift --pod return {}"), (("resume", "--yes"), "irkit resume {}")]
)
def test_other_commands_say_how_to_go_on_with_them(tmp_path: Path, words: tuple[str, ...], again: str) -> None:
    with world(tmp_path) as w:
        w.irkit.run(*w.contain, "--keep-workload").ended(0)
        begun = len(w.proxy.requests)
        w.proxy.when(lambda r: r.number >= begun + 8, before(Kill(signal.SIGINT, SILENCE)), times=1)
        answer = finish(w.begin(*words), timeout=SILENCE).ended(130)
        assert again.format(w.incident) in answer.stderr.strip().splitlines()[-1]
        w.proxy.heal()
        w.irkit.run(*again.format(w.incident).split()[1:], "--yes").ended(0)


@pytest.mark.slow
def test_the_lease_is_not_given_back_to_a_server_that_says_nothing(tmp_path: Path, calm: Undisturbed) -> None:
    with world(tmp_path) as w:
        w.box.store.add(SHARED)
        logs: list[str] = []

        def log(request: Request) -> bool:
            logs.extend([request.path] if request.path.endswith("/log") else [])
            return request.path.endswith("/log")

        w.proxy.when(log, before(Kill(signal.SIGINT, SILENCE)), times=1)
        # before that, the length of the copy that is signed goes onto the Lease, too
        w.proxy.when(lambda r: bool(logs) and "/leases/" in r.path and r.method == "PATCH", before(Delay(SILENCE)))
        begun = time.monotonic()
        finish(w.begin(*w.contain), timeout=SILENCE).ended(130)
        assert time.monotonic() - begun < PROMPT + 2, "start-up included"
        w.proxy.heal()
        go_on(w)
        assert w.final()["Deployment todo-app/backend"] == calm.final["Deployment todo-app/backend"]
