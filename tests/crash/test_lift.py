"""A lift that is killed, and lifted again, ends as one that nobody disturbed; and so does the lift of a containment that was killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from irkit.engine.home import Home
from tests.crash.world import World, differences, world
from tests.faults.harm import Kill, Match, after, before, nth, writes
from tests.sample import parts

Obj = dict[str, Any]
WHEN = {"before": before, "after": after}
CHOICES = ("keep", "return", "delete")
PARTS = 3


@contextmanager
def contained(tmp_path: Path, name: str = "world") -> Iterator[World]:
    with world(tmp_path, name) as w:
        w.irkit.run(*w.contain).ended(0)
        yield w


def _words(choice: str) -> tuple[str, ...]:
    return "lift", "--pod", choice, "--yes"


@pytest.fixture(scope="module")
def lifted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Obj, int]]:
    """By choice: how an undisturbed lift ends, and how many requests it makes."""

    @cache
    def ends(choice: str) -> tuple[Obj, int]:
        with contained(tmp_path_factory.mktemp(choice)) as w:
            begun = len(w.proxy.requests)
            w.irkit.run(*_words(choice)).ended(0)
            return w.final(), len(w.proxy.requests) - begun

    return ends


def _successors(final: Obj) -> Obj:
    """The pods that came after those that ended have names and addresses of their own: only their number counts."""
    pods = [k for k in final if k.startswith("Pod todo-app/backend-")]
    return {**{k: v for k, v in final.items() if k not in pods and not k.startswith("EndpointSlice todo-app/backend")}, "pods": len(pods)}


def _killed(world: World, choice: str, match: Match, when: str, wanted: Obj) -> bool:
    """Whether it was killed there; then lift again, and nothing differs."""
    begun = len(world.proxy.requests)

    def hit(request: Any) -> bool:
        return request.number >= begun and match(request)

    killed = world.harmed(hit, WHEN[when](Kill()), *_words(choice)).code == -9
    left = bool(world.state.undone())  # killed after its last change, there is nothing left to lift
    world.irkit.run(*_words(choice)).ended(0 if left else 2)
    assert not differences(_successors(world.final()), _successors(wanted))
    return killed


@pytest.mark.parametrize(("choice", "write", "when"), [("return", 1, "after"), pytest.param("delete", 1, "before", marks=pytest.mark.slow)])
def test_killed_around_a_write(tmp_path: Path, lifted: Callable[[str], tuple[Obj, int]], choice: str, write: int, when: str) -> None:
    count = -1

    def match(request: Any) -> bool:
        nonlocal count
        count += writes(request)
        return writes(request) and count == write

    with contained(tmp_path) as w:
        assert _killed(w, choice, match, when, lifted(choice)[0])


@pytest.mark.slow
@pytest.mark.parametrize("when", ["after", pytest.param("before", marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("part", parts(PARTS, 1))
def test_killed_around_every_request(tmp_path: Path, lifted: Callable[[str], tuple[Obj, int]], part: int, choice: str, when: str) -> None:
    wanted, requests = lifted(choice)
    failed, killed = {}, 0
    for number in range(part, requests, PARTS):
        with contained(tmp_path, f"{number}") as w:
            begun = len(w.proxy.requests)
            try:
                killed += _killed(w, choice, nth(begun + number), when, wanted)
            except AssertionError as error:
                failed[number] = str(error)[:2000]
    assert not failed
    assert killed >= len(range(part, requests, PARTS)) - 2, "a few looks while waiting more or less, and no more"


@pytest.mark.slow
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("write", [0, 1, 2])
def test_a_containment_that_was_killed_is_lifted_without_resuming_it(tmp_path: Path, write: int, when: str) -> None:
    count = -1

    def match(request: Any) -> bool:
        nonlocal count
        count += writes(request)
        return writes(request) and count == write

    with world(tmp_path) as w:
        then = w.final()
        assert w.harmed(match, WHEN[when](Kill()), *w.contain).code == -9
        w.irkit.run("lift", "--pod", "return", "--yes").ended(0)
        assert w.restored(then) == []
        assert Home(w.irkit.home).load(w.incident).closed == "lifted"
