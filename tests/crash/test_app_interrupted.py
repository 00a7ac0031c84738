"""Ctrl-C and lost connections while credentials are rotated and the application is brought back: nobody is locked out, and `resume` finishes."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.crash.app import App, Calm, app
from tests.crash.test_app_killed import WHEN, Calmly, finished
from tests.crash.test_signals import SILENCE, interrupted
from tests.crash.world import Obj, differences
from tests.faults.harm import Cut, Kill, Match, Request, after, before, nth, writes
from tests.sample import parts

STEP = 87  # of all requests, every so many


def _vault(request: Request) -> bool:
    return request.path.startswith("/v1/")


def _and_goes_on(world: App, calmly: Calmly) -> None:
    world.not_locked_out()
    finished(world, calmly("chain"), *world.chain)


def _recovered(world: App, document: Obj, calm: Calm) -> None:
    """As `finished`; but the redeployment went on without the rotation, so that restarts followed it, and some evidence came late."""
    world.rotated(document)
    world.collected(document)
    end = world.end(document)
    same = ("pods", "suspect", "steps", "credentials")
    assert not differences({k: end[k] for k in same}, {k: calm.end[k] for k in same})


@pytest.mark.slow
@pytest.mark.parametrize("part", parts(3, 1))
def test_ctrl_c_at_some_requests(tmp_path: Path, calmly: Calmly, part: int) -> None:
    failed, missed = {}, 0
    for number in range(part * STEP // 3 + 40, calmly("chain").requests, STEP):
        with app(tmp_path, f"{number}") as w:
            try:
                missed += not interrupted(w, nth(number), list(WHEN.values())[number % 2](Kill(signal.SIGINT, SILENCE)), *w.chain)
                _and_goes_on(w, calmly)
            except AssertionError as error:
                failed[number] = str(error)[:2000]
    assert not failed
    assert missed <= 1, "how many requests there are varies by a few looks while waiting, and by no more"


@pytest.mark.slow
@pytest.mark.exhaustive  # a minute; of a containment alone it is test_network's
def test_the_answer_to_every_write_is_lost_once(tmp_path: Path, calmly: Calmly) -> None:
    """It happened all the same. The API server is asked again at once; what Vault was told, the next run finds out."""
    seen: set[tuple[object, ...]] = set()

    def first(request: Request) -> bool:
        key = (request.method, request.path, tuple(sorted(request.query.items())))
        new = writes(request) and key not in seen
        seen.add(key)
        return new

    with app(tmp_path) as w:
        w.irkit = w.impatient()
        w.proxy.when(first, after(Cut()))
        answers = [w.ended(*w.chain)]
        while answers[-1].code and len(answers) < 20:
            assert answers[-1].code == 7, answers[-1].said
            w.not_locked_out()
            answers.append(w.ended("resume", *w.given))
        _recovered(w, answers[-1].ended(0).document, calmly("chain"))


@pytest.mark.slow
@pytest.mark.parametrize("part", parts(3, 1))
def test_the_servers_go_away_at_some_request_and_come_back(tmp_path: Path, calmly: Calmly, part: int) -> None:
    """Each third time both, the API server alone, or Vault alone."""
    failed = {}
    for number in range(part * STEP // 3 + 40, calmly("chain").requests, STEP):
        whom: Match = [lambda r: True, lambda r: not _vault(r), _vault][number // STEP % 3]
        with app(tmp_path, f"{number}") as w:
            patient, w.irkit = w.irkit, w.impatient()
            gone = w.harmed(lambda r, n=number, whom=whom: r.number >= n and whom(r), before(Cut()), *w.chain, times=1_000_000)  # type: ignore[misc]
            w.irkit = patient
            try:
                assert gone.code in (0, 5, 6, 7), gone.said
                assert "unexpected failure" not in gone.said, gone.said
                w.not_locked_out()
                _recovered(w, w.go_on(*w.chain), calmly("chain"))
            except AssertionError as error:
                failed[number] = str(error)[:2000]
    assert not failed
