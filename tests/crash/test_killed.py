"""SIGKILL by the proxy, right before a request is passed on and right after it was answered, for every request of a containment."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.crash.world import Undisturbed, World, as_undisturbed, differences, go_on, nth_write, undisturbed, until, world
from tests.e2e.running import finish
from tests.faults.harm import Kill, Match, after, before, nth
from tests.sample import parts, sampled

WHEN = {"before": before, "after": after}
PARTS = 12


def _killed(world: World, calm: Undisturbed, match: Match, when: str, *again: str) -> bool:
    """Whether it was killed there; then go on, and nothing differs."""
    killed = world.harmed(match, WHEN[when](Kill()), *world.contain).code == -9
    if not killed:
        return False
    go_on(world, *again)
    as_undisturbed(world, calm)
    return True


@pytest.mark.slow
def test_undisturbed_is_undisturbed(tmp_path: Path, calm: Undisturbed) -> None:
    again = undisturbed(tmp_path)
    assert not differences(again.final, calm.final)
    assert (again.bag, again.logs, again.lines) == (calm.bag, calm.logs, calm.lines)
    assert abs(again.requests - calm.requests) < PARTS, "but for looks while waiting: how many depends on how busy the machine is"


SOME = [(1, "after"), (2, "before")]
REST = [pytest.param(w, when, marks=pytest.mark.slow) for w in range(3) for when in WHEN if (w, when) not in SOME]


@pytest.mark.parametrize(("write", "when"), [*SOME, *REST])
def test_killed_around_each_write(tmp_path: Path, calm: Undisturbed, write: int, when: str) -> None:
    with world(tmp_path) as w:
        assert _killed(w, calm, nth_write(write), when)


def test_killed_while_the_log_of_a_sibling_comes(tmp_path: Path, calm: Undisturbed) -> None:
    with world(tmp_path) as w:
        assert _killed(w, calm, lambda r: r.path.endswith("/log") and w.box.suspect[1] not in r.path, "after")


@pytest.mark.slow
def test_contain_again_goes_on_as_resume_does(tmp_path: Path, calm: Undisturbed) -> None:
    with world(tmp_path) as w:
        assert _killed(w, calm, nth_write(1), "after", *w.contain)


@pytest.mark.slow
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("part", parts(PARTS, 2))
def test_killed_around_every_request(tmp_path: Path, calm: Undisturbed, part: int, when: str) -> None:
    failed: dict[int, str] = {}
    missed = 0
    for number in range(part, calm.requests, PARTS):
        with world(tmp_path, f"{number}") as w:
            # each second time by the command itself instead of resume: it must go on with the open incident
            again = w.contain if number % 2 else ()
            try:
                missed += not _killed(w, calm, nth(number), when, *again)
            except AssertionError as error:
                failed[number] = str(error)[:2000]
    assert not failed
    assert missed <= 1, "how many requests there are varies by a few looks while waiting, and by no more"


@pytest.mark.slow
@pytest.mark.parametrize("seed", sampled(range(6), 0, 3))
def test_killed_again_and_again(tmp_path: Path, calm: Undisturbed, seed: int) -> None:
    """Each run that goes on is killed, too, a few times."""
    chance = random.Random(seed)
    with world(tmp_path) as w:
        for _ in range(4):
            words = ("resume", "--yes") if w.incidents and chance.random() < 0.5 else w.contain
            w.harmed(nth(len(w.proxy.requests) + chance.randrange(40)), WHEN[chance.choice(list(WHEN))](Kill()), *words)
        go_on(w)
        as_undisturbed(w, calm)


@pytest.mark.slow
@pytest.mark.parametrize("part", parts(3, 1))
def test_killed_at_any_time(tmp_path: Path, calm: Undisturbed, part: int) -> None:
    """Also where it neither asks nor writes a journal line: while it seals a bag, as an example."""
    failed, killed = {}, 0
    for step in range(part, 60, 3):
        with world(tmp_path, f"{step}") as w:
            process = w.begin(*w.contain)
            for _ in until(30):  # the time counts from the first request: how long Python takes to start does not matter
                if w.proxy.requests:
                    break
            time.sleep(step * 0.01)
            process.kill()
            killed += finish(process).code == -9
            go_on(w)
            try:
                as_undisturbed(w, calm)
            except AssertionError as error:
                failed[step] = str(error)[:2000]
    assert not failed
    assert killed
