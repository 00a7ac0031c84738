"""Killed between two lines of the journal, and journals cut off at every line and within lines."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from irkit.engine import journal
from tests.crash.world import Undisturbed, World, as_undisturbed, go_on, killed_at, world
from tests.e2e.running import what
from tests.sample import parts


@pytest.mark.slow
def test_killed_after_the_intent_to_collect(tmp_path: Path, calm: Undisturbed) -> None:
    with world(tmp_path) as w:
        assert killed_at(w, 11, *w.contain)
        go_on(w)
        as_undisturbed(w, calm)


@pytest.mark.slow
@pytest.mark.parametrize("part", parts(3, 1))
def test_killed_at_every_line(tmp_path: Path, calm: Undisturbed, part: int) -> None:
    killed, failed, lines = 0, {}, range(1 + part, calm.lines, 3)
    for line in lines:
        with world(tmp_path, f"{line}") as w:
            killed += killed_at(w, line, *w.contain)
            go_on(w)
            try:
                as_undisturbed(w, calm)
            except AssertionError as error:
                failed[line] = str(error)[:2000]
    assert not failed
    assert killed >= len(lines) * 2 // 3, "the last lines come too quickly for somebody who looks from outside, and only these"


@pytest.fixture
def finished(tmp_path: Path):
    """A containment that is done."""
    with world(tmp_path) as w:
        go_on(w)
        yield w


def _cut(world: World, home: Path, octets: int) -> World:
    """The same cluster and a copy of the home whose journal ends after so many octets."""
    shutil.copytree(world.irkit.home, home)
    copy = World(world.box, world.proxy, world.irkit.elsewhere(home))
    path = copy.home.journal(world.incident)
    path.write_bytes(path.read_bytes()[:octets])
    return copy


def _resumes(world: World, calm: Undisturbed) -> None:
    """`resume` ends well and changes nothing: everything is in force already. What the bag had is still in one."""
    before = len(world.changed())
    go_on(world)
    assert [what(e) for e in world.changed()[before:]] == []
    assert world.state.runs[-1].exit_code == 0
    bags = sorted((world.directory / "bags").iterdir())
    assert [Path(b.path).name for b in world.state.bags] == [p.name for p in bags]
    for bag in bags:
        world.irkit.run("bundle", "verify", str(bag)).ended(0)
    files = {p.relative_to(b / "data").as_posix() for b in bags for p in (b / "data").rglob("*") if p.is_file()}
    assert {f for f in files if not f.startswith("before/")} >= {f for f in calm.bag if not f.startswith("before/")}


def _ends(world: World) -> list[int]:
    """Where the lines of its journal end, in octets."""
    content = world.home.journal(world.incident).read_bytes()
    return [n + 1 for n, octet in enumerate(content) if octet == 10]


def test_resume_from_a_journal_cut_at_some_lines(finished: World, calm: Undisturbed, tmp_path: Path) -> None:
    ends = _ends(finished)
    sealed = next(line.seq for line in journal.read(finished.home.journal(finished.incident)).lines if type(line.body).__name__ == "Sealed")
    for name, octets in (("sealed but not on record", ends[sealed - 2]), ("torn", ends[12] + 7)):
        _resumes(_cut(finished, tmp_path / name, octets), calm)


@pytest.mark.slow
@pytest.mark.parametrize("part", parts(3, 1))
def test_resume_from_a_journal_cut_at_every_line_and_within(finished: World, calm: Undisturbed, tmp_path: Path, part: int) -> None:
    failed = {}
    for number, end in list(enumerate(_ends(finished)))[part::3]:
        for octets in (end, end + 40):
            try:
                _resumes(_cut(finished, tmp_path / f"{octets}", octets), calm)
            except AssertionError as error:
                failed[number, octets - end] = str(error)[:2000]
    assert not failed


@pytest.mark.slow
@pytest.mark.parametrize("octets", [0, 40])
def test_an_incident_without_its_first_line_is_none(finished: World, octets: int, tmp_path: Path) -> None:
    cut = _cut(finished, tmp_path / "cut", octets)
    answer = cut.irkit.run("resume", "--yes").ended(2)
    assert "no incident" in answer.stderr
