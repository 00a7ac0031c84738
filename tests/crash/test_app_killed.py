"""SIGKILL between any two writes of a rotation and of the whole procedure locks no application out, and `resume` finishes.

The proxy stands before the API server and Vault, and counts their requests together. What a kill right before a request leaves is
what one right after the request before it does, but for requests that write; so the long procedure is killed before each, and
after each that writes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.app import App, Calm, app
from tests.crash.world import differences, killed_at, nth_write
from tests.e2e.running import what
from tests.faults.harm import Kill, Match, Request, after, before, nth
from tests.sample import parts

WHEN = {"before": before, "after": after}
Calmly = Callable[[str], Calm]


def finished(world: App, calm: Calm, *words: str) -> None:
    """Go on after a crash: nothing differs from a run that nobody disturbed."""
    document = world.go_on(*words)
    world.rotated(document)
    world.collected(document)
    assert not differences(world.end(document), calm.end)


def _killed(world: App, calm: Calm, command: str, match: Match, when: str) -> bool:
    """Whether it was killed there; then nobody is locked out, and it goes on."""
    words = getattr(world, command)
    if world.harmed(match, WHEN[when](Kill()), *words).code != -9:
        return False
    world.not_locked_out()
    finished(world, calm, *words)
    return True


def _all(tmp_path: Path, calm: Calm, command: str, when: str, matches: dict[int, Match]) -> int:
    """Kill it at each; how many of them it never came to."""
    failed: dict[int, str] = {}
    missed = 0
    for number, match in matches.items():
        with app(tmp_path, f"{number}") as w:
            try:
                missed += not _killed(w, calm, command, match, when)
            except AssertionError as error:
                failed[number] = str(error)[:2000]
    assert not failed
    return missed


def test_killed_when_vault_has_changed_the_password_and_nobody_else_knows(tmp_path: Path, calmly: Calmly) -> None:
    def changes(request: Request) -> bool:
        return request.path == "/v1/database/rotate-role/app"

    with app(tmp_path) as w:
        assert _killed(w, calmly("rotate"), "rotate", changes, "after")


@pytest.mark.slow
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("part", parts(36, 1))
def test_a_rotation_killed_around_every_request(tmp_path: Path, calmly: Calmly, part: int, when: str) -> None:
    calm = calmly("rotate")
    missed = _all(tmp_path, calm, "rotate", when, {n: nth(n) for n in range(part, calm.requests, 36)})
    assert missed <= 1, "how many requests there are varies by a few looks while waiting, and by no more"


@pytest.mark.slow
@pytest.mark.parametrize("part", parts(12, 1))
def test_a_rotation_killed_at_every_record(tmp_path: Path, calmly: Calmly, part: int) -> None:
    calm = calmly("rotate")
    failed, killed = {}, 0
    for line in range(12 - part, calm.lines, 12):
        with app(tmp_path, f"{line}") as w:
            killed += killed_at(w, line, *w.rotate)
            try:
                w.not_locked_out()
                finished(w, calm, *w.rotate)
            except AssertionError as error:
                failed[line] = str(error)[:2000]
    assert not failed
    assert killed


@pytest.mark.slow
@pytest.mark.parametrize("part", parts(72, 1))
def test_the_procedure_killed_before_every_request(tmp_path: Path, calmly: Calmly, part: int) -> None:
    calm = calmly("chain")
    missed = _all(tmp_path, calm, "chain", "before", {n: nth(n) for n in range(part, calm.requests, 72)})
    assert missed <= 1, "how many requests there are varies by a few looks while waiting, and by no more"


@pytest.mark.slow
@pytest.mark.parametrize("part", parts(12, 1))
def test_the_procedure_killed_after_every_write(tmp_path: Path, calmly: Calmly, part: int) -> None:
    calm = calmly("chain")
    assert not _all(tmp_path, calm, "chain", "after", {n: nth_write(n) for n in range(11 - part, calm.writes, 12)})


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_the_procedure_killed_again_and_again(tmp_path: Path, calmly: Calmly, seed: int) -> None:
    """Each run that goes on is killed, too, a few times."""
    chance = random.Random(seed)
    with app(tmp_path) as w:
        for _ in range(4):
            words = ("resume", *w.given) if w.incidents else w.chain
            w.harmed(nth(len(w.proxy.requests) + chance.randrange(160)), WHEN[chance.choice(list(WHEN))](Kill()), *words)
            w.not_locked_out()
        finished(w, calmly("chain"), *w.chain)


@pytest.mark.slow
def test_resuming_what_has_ended_restarts_nobody(tmp_path: Path) -> None:
    """Also not the workload that was stopped while its credentials were rotated, and has no mark of a restart."""
    with app(tmp_path) as w:
        first = w.ended(*w.chain).ended(0).document
        changed, secrets, pods = len(w.changed()), w.secrets(), {p["metadata"]["uid"] for p in w.living()}
        again = w.ended("resume", *w.given).ended(0).document
        assert again["credentials"] == first["credentials"]
        assert [what(e) for e in w.changed()[changed:]] == []
        assert w.secrets() == secrets
        assert {p["metadata"]["uid"] for p in w.living()} == pods
