"""The journal survives crashes and shows tampering."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.engine.journal import FIRST, Journal, read
from irkit.engine.state import State
from irkit.errors import EvidenceError, RefusedError
from irkit.model.record import Ran
from tests.clocks import StepClock


def ran(number: int) -> Ran:
    return Ran(run=f"{number:04}", event="start", command="contain", data={"x": "é\n\x00"})


def filled(path: Path, count: int) -> bytes:
    journal = Journal(path, StepClock())
    for number in range(count):
        journal.append(ran(number))
    journal.close()
    return path.read_bytes()


@given(count=st.integers(1, 6), data=st.data())
def test_whatever_a_crash_leaves_of_the_last_line_is_cut_off_and_the_rest_is_kept(tmp_path_factory, count, data):
    path = tmp_path_factory.mktemp("j") / "journal.jsonl"
    whole = filled(path, count)
    start = whole[:-1].rfind(b"\n") + 1
    path.write_bytes(whole[: data.draw(st.integers(start, len(whole) - 1))])
    journal = Journal(path, StepClock())
    assert [line.body for line in journal.lines] == [ran(n) for n in range(count - 1)]
    journal.append(ran(99))
    journal.close()
    assert [line.body for line in read(path).lines] == [*(ran(n) for n in range(count - 1)), ran(99)]


@given(data=st.data())
def test_a_changed_byte_before_the_last_line_is_found(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("j") / "journal.jsonl"
    whole = bytearray(filled(path, 4))
    last = bytes(whole[:-1]).rfind(b"\n")
    position = data.draw(st.integers(0, last - 1))
    whole[position] ^= data.draw(st.integers(1, 255))
    path.write_bytes(whole)
    with pytest.raises(EvidenceError, match=r"journal\.jsonl:\d+: "):
        read(path)


@pytest.mark.parametrize("change", ["removed", "swapped", "doubled"])
def test_lines_cannot_be_taken_out_swapped_or_repeated(tmp_path, change):
    path = tmp_path / "journal.jsonl"
    lines = filled(path, 4).splitlines(keepends=True)
    new = {"removed": [lines[0], *lines[2:]], "swapped": [lines[1], lines[0], *lines[2:]], "doubled": [*lines[:2], *lines[1:]]}[change]
    path.write_bytes(b"".join(new))
    with pytest.raises(EvidenceError, match="hash chain"):
        read(path)


def test_each_line_holds_the_hash_of_the_line_before(tmp_path):
    path = tmp_path / "journal.jsonl"
    raw = filled(path, 3).splitlines()
    lines = read(path).lines
    assert [line.prev for line in lines] == [FIRST, *(hashlib.sha256(r).hexdigest() for r in raw[:2])]
    assert read(path).last == hashlib.sha256(raw[-1]).hexdigest()


def test_only_the_owner_may_read_it(tmp_path):
    filled(tmp_path / "journal.jsonl", 1)
    assert (tmp_path / "journal.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_directory_that_is_not_there_is_a_refusal_not_a_traceback(tmp_path):
    with pytest.raises(RefusedError, match="nothing was changed"):
        Journal(tmp_path / "absent" / "journal.jsonl", StepClock())


def test_a_full_disk_leaves_whole_lines_only(tmp_path):
    """A child process with a file size limit, since a limit can't be taken back."""
    path = tmp_path / "journal.jsonl"
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        journal = Journal(path, StepClock())
        try:
            for number in range(50):
                journal.append(ran(number))
        except EvidenceError:
            os._exit(6)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 6
    loaded = read(path)
    assert loaded.torn == 0
    assert 0 < len(loaded.lines) < 50


def test_an_interrupted_run_is_known_by_its_missing_end(tmp_path):
    path = tmp_path / "journal.jsonl"
    filled(path, 1)
    assert State.of(read(path).lines).status == "interrupted"
