"""A disk that is full in the middle of a collection, and a home that can't be written."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from irkit.model.outcome import Failed
from tests.crash.world import Undisturbed, World, as_undisturbed, go_on, world
from tests.e2e.running import Answer, finish, what
from tests.faults.harm import Delay, Request, before

SMALL = 20_000  # octets; the journal is smaller, the log of each pod is larger


def _is_log(request: Request) -> bool:
    return request.path.endswith("/log")


def _stopped_short(world: World, answer: Answer) -> None:
    """Cut off, not stopped; the journal is whole and says why."""
    answer.ended(6)
    assert "irkit resume" in answer.said
    assert [what(e) for e in world.changed()] == ["create networkpolicies", "patch pods", "create poddisruptionbudgets"]
    assert set(world.pods) <= set(world.backends()), "every pod lives as long as its evidence is not stored"
    assert isinstance(world.state.steps["keep-evidence"], Failed)


def test_no_file_may_grow_in_the_middle_of_a_collection(tmp_path: Path, calm: Undisturbed) -> None:
    """By a limit of the process, put on it from outside when it asks for the first log: it meets EFBIG instead of ENOSPC."""
    with world(tmp_path) as w:

        def limit(request: Request) -> bool:
            if _is_log(request):
                assert w.proxy.victim
                resource.prlimit(w.proxy.victim, resource.RLIMIT_FSIZE, (SMALL, SMALL))
            return False

        w.proxy.when(limit, before(Delay(0)))
        _stopped_short(w, finish(w.begin(*w.contain)))
        w.proxy.heal()
        go_on(w)
        as_undisturbed(w, calm)


@contextmanager
def tiny_disk(where: Path, octets: int) -> Iterator[bool]:
    """A file system of this size at ``where``, or nothing where this user may not mount one."""
    where.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={octets}", "tmpfs", str(where)]
    able = os.geteuid() == 0 and shutil.which("mount") is not None
    mounted = able and subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", where], check=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kilobytes", [60, 180, 300, 400, 600, *(pytest.param(n, marks=pytest.mark.exhaustive) for n in (100, 140, 220, 260, 340, 500))]
)
def test_no_space_left(tmp_path: Path, calm: Undisturbed, kilobytes: int) -> None:
    """On a disk that is too small, wherever it ends; then there is room, and `resume` finishes."""
    home = tmp_path / "disk"
    with world(tmp_path) as w, tiny_disk(home, kilobytes << 10) as mounted:
        full = World(w.box, w.proxy, w.irkit.elsewhere(home / "home"))
        answer = finish(full.begin(*full.contain))
        if mounted:
            assert "Traceback" not in answer.said
            assert answer.code in (6, 8), answer.said
            assert (answer.code == 6) == bool(full.incidents) or not full.changed(), answer.said
            assert "patch deployments/scale" not in [what(e) for e in full.changed()]
            subprocess.run(["mount", "-o", "remount,size=100m", home], check=True)
        else:
            answer.ended(0)  # only its size differs from any other home, where nothing can be mounted
        go_on(full)
        as_undisturbed(full, calm)


@contextmanager
def read_only(where: Path) -> Iterator[None]:
    """A directory in which nobody may write, the superuser included."""
    if os.geteuid():
        where.mkdir(mode=0o500)
        yield
        where.chmod(0o700)
    else:
        with tiny_disk(where, 1 << 20) as mounted:
            if not mounted:
                pytest.skip("root may write everywhere but on a read-only disk, and none can be mounted here")
            subprocess.run(["mount", "-o", "remount,ro", where], check=True)
            yield


@pytest.mark.parametrize("below", ["home", "."])
def test_a_home_that_cannot_be_written(tmp_path: Path, below: str) -> None:
    with world(tmp_path) as w, read_only(tmp_path / "ro"):
        answer = w.irkit.elsewhere(tmp_path / "ro" / below).run(*w.contain).ended(8)
        assert "nothing was changed" in answer.stderr
        assert "IRKIT_HOME" in answer.stderr
        assert not w.changed()
