"""Disks that do not take it: full, limited, read-only, not ours."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from irkit.errors import EvidenceError
from irkit.evidence.disk import guarded
from irkit.evidence.store import BagStore
from irkit.evidence.writer import Writer, beside
from irkit.model.evidence import Gap
from tests.evidence.bags import accepted, add, artefact

ROOT = os.geteuid() == 0 and shutil.which("mount") is not None


@contextmanager
def largest_file(octets: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_may_not_be_so_large(tmp_path):
    writer = BagStore(tmp_path / "bags").open(1)
    writer.add(artefact("small", b"1" * 1000))
    with largest_file(500_000), pytest.raises(EvidenceError) as told:
        writer.add(artefact("pods/a/current.log", *[b"x" * 100_000] * 20, what="logs of \x1bapp"))
    assert str(told.value).startswith("storing logs of \\x1bapp (600.0 kB so far): the file would be larger than is allowed (")
    assert told.value.exit_code == 6
    assert list(beside(tmp_path / "bags" / "1")[1].iterdir()) == []  # makes room again
    writer.add(artefact("pods/a/current.log", b"after all"))
    assert [line.path for line in Writer(tmp_path / "bags" / "1").stored] == ["pods/a/current.log", "small"]
    accepted(Path(writer.seal({}).path))


def test_an_index_that_may_not_grow_leaves_no_half_line(tmp_path):
    writer = Writer(tmp_path / "1")
    writer.add(artefact("a", b"1"))
    memory = beside(tmp_path / "1")[0]
    before = memory.read_bytes()
    with largest_file(len(before) + 20), pytest.raises(EvidenceError, match="index of the bag"):
        writer.add(artefact("b", b"1"))
    assert memory.read_bytes() == before
    assert not (writer._data / "b").exists()
    writer.gap(Gap(what="x", why="y"))
    writer.add(artefact("b", b"1"))
    assert [line.path for line in Writer(tmp_path / "1").stored] == ["a", "b"]


@pytest.mark.parametrize("room", range(200, 6000, 450))
def test_a_seal_that_the_disk_refuses_can_be_tried_again(tmp_path, room):
    writer = Writer(tmp_path / "1")
    for number in range(30):
        writer.add(artefact(f"pods/{number}", b"1", also=("all.txt",)))
    said = "sealing the bag: "
    try:
        with largest_file(room):
            writer.seal({})
    except EvidenceError as error:
        said = str(error)
        writer.add(artefact("pods/more", b"1"))
        writer.seal({})
    assert said.startswith("sealing the bag: ")
    accepted(tmp_path / "1")


REASONS = [(errno.ENOSPC, "no space left"), (errno.EROFS, "is read-only"), (errno.EIO, "reports an error"), (errno.EMLINK, "Too many links")]


@pytest.mark.parametrize(("number", "why"), REASONS)
def test_one_sentence_says_what_where_and_why(number, why):
    with pytest.raises(EvidenceError, match=why) as told, guarded("storing x", Path("/bags/\x1b1")):
        raise OSError(number, os.strerror(number))
    assert str(told.value).startswith("storing x: ")
    assert str(told.value).endswith("(/bags/\\x1b1)")
    assert (told.value.next != "") == (number == errno.ENOSPC)


def test_a_file_where_the_bags_should_be(tmp_path):
    (tmp_path / "bags").write_text("mine")
    with pytest.raises(EvidenceError, match="opening the bag"):
        BagStore(tmp_path / "bags").open(1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if not ROOT:
        pytest.skip("a small disk can be mounted by root only, with mount; the limits above need neither")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "irkit-test", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_disk_that_is_full_and_then_is_not(small_disk):
    store = BagStore(small_disk / "bags")
    writer = store.open(1)
    writer.add(artefact("small", b"1" * 1000))
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 500_000)
    with pytest.raises(EvidenceError, match="no space left on the disk") as told:
        writer.add(artefact("large", *[b"x" * 100_000] * 20))
    assert told.value.next == "free some space, then: irkit resume"
    filler.unlink()
    writer = store.open(1)  # as another process
    assert add(writer, artefact("small", b"other")).size == 1000
    writer.add(artefact("large", b"x" * 100_000))
    accepted(Path(writer.seal({}).path))


def test_a_disk_that_is_read_only(small_disk):
    store = BagStore(small_disk / "bags")
    assert store.key
    writer = Writer(small_disk / "bags" / "1")
    writer.add(artefact("small", b"1" * 1000))
    writer._index.close()  # as when its process ended
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for number in (1, 2):
        with pytest.raises(EvidenceError, match="opening the bag: the disk is read-only"):
            store.open(number)
    with pytest.raises(EvidenceError, match="the incident's key: the disk is read-only"):
        _ = BagStore(small_disk / "other" / "bags").key


MEMORY = """
import sys
from pathlib import Path
from irkit.evidence.store import BagStore
from irkit.model.evidence import Artefact
writer = BagStore(Path(sys.argv[1])).open(1)
line = b"2026-11-22T03:15:02.000000000Z " + b"x" * 65_000
writer.add(Artefact(("big.log",), lambda: (line for _ in range(int(sys.argv[2]) // len(line))), "big", ("incident-logs.txt",)))
writer.add(Artefact(("other.log",), lambda: iter((b"y" * 10_000_000,)), "a 10 MB line", ("incident-logs.txt",)))
writer.seal({})
print(int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024)  # ru_maxrss would count pytest's, before exec
"""


def test_memory_does_not_grow_with_the_log(tmp_path):
    def peak(octets: int) -> int:
        ran = subprocess.run([sys.executable, "-c", MEMORY, str(tmp_path / str(octets)), str(octets)], capture_output=True, text=True, check=True)
        return int(ran.stdout)

    small, large = peak(5_000_000), peak(100_000_000)
    assert large < 80
    assert large - small < 8
