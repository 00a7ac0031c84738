"""A writer that is killed, by SIGKILL and at any moment, and opened again."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from irkit.evidence.store import BagStore
from irkit.evidence.writer import Writer, beside, partial_of
from irkit.model.evidence import Gap
from tests.evidence.bags import accepted, add, artefact
from tests.evidence.filling import chunk, fill

COUNT = 120
ROOT = Path(__file__).parents[2]


def started(bags: Path, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.evidence.filling", str(bags), str(COUNT)],
        cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, **environment},
    )  # fmt: skip


def killed_after(bags: Path, lines: int, wait: float) -> list[str]:
    """Kill a writer a moment after it said so many lines; all that it said."""
    process = started(bags, SOURCE="broken")
    assert process.stdout
    said = [process.stdout.readline() for _ in range(lines)]
    time.sleep(wait)
    process.kill()
    said += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    return [line.decode().strip() for line in said if line]


@pytest.mark.parametrize("seed", range(6))
def test_nothing_that_was_promised_is_lost(tmp_path, seed):
    dice = random.Random(seed)
    bags = tmp_path / "bags"
    promised: set[str] = set()
    for _ in range(3):
        promised |= set(killed_after(bags, dice.randint(1, COUNT), dice.random() * 0.02))
    if not (bags / "1").exists():
        for number in promised - {"sealing"}:
            file = partial_of(bags / "1") / "data" / "pods" / str(int(number) % 5) / f"{number}.log"
            assert file.read_bytes() == chunk(int(number)) * (int(number) % 7)
    if not (bags / "1").exists():
        fill(bags, COUNT)
    (bag,) = BagStore(bags).sealed()
    accepted(bags / "1")
    assert bag.gaps == () or (bags / "1" / "data" / "pods" / "0" / "10.log.incomplete").exists()
    whole = {int(p.stem) for p in (bags / "1" / "data" / "pods").glob("*/*.log")}
    assert whole | {int(g.what.removeprefix("log ")) for g in bag.gaps} == set(range(COUNT))
    assert sorted(p.name for p in bags.iterdir() if p.name != ".1.index.jsonl" and p.name != ".1.unfinished") == ["1"]


def reopened(writer: Writer) -> Writer:
    return Writer(writer._final)


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    writer = Writer(tmp_path / "1")
    writer.add(artefact("a", b"aaa", also=("all.txt",)))
    writer.add(artefact("b", b"bbb", also=("all.txt",)))
    writer.gap(Gap(what="c", why="refused"))
    return writer


def test_what_is_whole_is_not_captured_again(writer):
    again = reopened(writer)
    assert add(again, artefact("a", b"other")).size == 3
    assert again.gaps == (Gap(what="c", why="refused"),)
    accepted(Path(again.seal({}).path))


def test_a_torn_last_line_of_the_index_is_cut_off(writer):
    memory, _ = beside(writer._final)
    with memory.open("ab") as stream:
        stream.write(b'{"line":"stored","path":"x"')
    again = reopened(writer)
    again.add(artefact("x", b"x"))
    assert [line.path for line in reopened(again).stored] == ["a", "b", "x"]
    accepted(Path(reopened(again).seal({}).path))


@pytest.mark.parametrize("damage", [b"", b"aa", b"abc", b"aaaa"])
def test_a_power_cut_that_lost_bytes_is_found_and_the_artefact_captured_again(writer, damage):
    (writer._data / "a").write_bytes(damage)
    again = reopened(writer)
    assert [(gap.what, gap.transient) for gap in again.gaps] == [("c", False), ("what a is", True)]
    assert add(again, artefact("a", b"aaa")).size == 3
    assert [gap.what for gap in again.gaps] == ["c"]
    assert (again._data / "a.incomplete").read_bytes() == damage
    assert [line.path for line in reopened(again).stored] == ["a", "a.incomplete", "b"]
    accepted(Path(reopened(again).seal({}).path))


def test_a_power_cut_that_lost_the_index_loses_no_file(writer):
    beside(writer._final)[0].write_bytes(b"")
    again = reopened(writer)
    assert [line.path for line in again.stored] == ["a.incomplete", "b.incomplete"]
    assert [gap.transient for gap in again.gaps] == [False, False]
    again.add(artefact("a", b"aaa"))
    accepted(Path(again.seal({}).path))


def test_a_line_whose_file_never_got_its_name_is_captured_again(writer):
    (writer._data / "a").unlink()
    again = reopened(writer)
    assert [line.path for line in again.stored] == ["b"]
    assert add(again, artefact("a", b"new!")).size == 4


def test_unfinished_files_are_removed(writer):
    (beside(writer._final)[1] / "0").write_bytes(b"x" * 1000)
    reopened(writer).add(artefact("x", b"x"))
    assert list(beside(writer._final)[1].iterdir()) == []


def test_a_kill_in_the_middle_of_sealing_is_sealed_again(writer):
    partial = partial_of(writer._final)
    (partial / "data" / "all.txt").write_bytes(b"half of wh")
    (partial / "manifest-sha256.txt").write_bytes(b"half")
    (partial / ".bag-info.txt.new").write_bytes(b"half")
    bag = reopened(writer).seal({})
    assert (Path(bag.path) / "data" / "all.txt").read_bytes().startswith(b"==> a: ")
    accepted(Path(bag.path))


def test_a_kill_between_the_last_rename_and_tidying_up(writer):
    writer.add(artefact("x", b"x"))
    memory, temporary = beside(writer._final)
    kept = memory.read_bytes()
    bag = writer.seal({})
    memory.write_bytes(kept)
    temporary.mkdir()
    assert BagStore(writer._final.parent).open(1).seal({}) == bag
    assert [p.name for p in writer._final.parent.iterdir()] == ["1"]
