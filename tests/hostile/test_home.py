"""Where incidents are kept: for the owner's eyes only, whatever the umask; and nothing is changed where nothing can be kept."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.running import PROGRAM
from tests.hostile.world import World


def modes(home: Path) -> dict[str, int]:
    """Everything at or below ``home`` that others may look at, with its mode."""
    found = {str(p): stat.S_IMODE(p.lstat().st_mode) for p in (home, *home.rglob("*")) if not p.is_symlink()}
    return {p: m for p, m in found.items() if m & 0o077}


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_only_the_owner_may_look(world: World, umask: int) -> None:
    laptop = world.laptop
    laptop.run("contain", *world.target, "--yes", umask=umask).ended(0)
    laptop.run("collect", *world.target, umask=umask).ended(0)
    laptop.run("verify", umask=umask).ended(0)
    laptop.run("lift", "--pod", "return", "--yes", umask=umask).ended(0)
    assert modes(laptop.home) == {}
    assert len(list(laptop.home.rglob("*"))) > 50


def test_a_home_that_all_may_read_is_not_widened_further(world: World) -> None:
    world.laptop.home.mkdir(mode=0o755)
    world.contain("--keep-workload")
    assert set(modes(world.laptop.home)) <= {str(world.laptop.home)}, "what irkit made is closed; what the user made is the user's"


def test_the_kubeconfig_of_the_sandbox_is_nobody_elses(quiet: World, tmp_path: Path) -> None:
    environ = {**quiet.laptop.environ(), "TMPDIR": str(tmp_path)}
    process = subprocess.Popen([str(PROGRAM), "sandbox"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environ, umask=0, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        path = Path(line.removeprefix("export KUBECONFIG=").strip())
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    finally:
        process.terminate()
        assert process.wait(10) in (0, 130)
        assert process.stdout is not None
        process.stdout.close()
    for _ in range(100):
        if not path.parent.exists():
            break
        time.sleep(0.02)
    assert not path.exists(), "its token and its state are gone"


def unwritable(tmp_path: Path, how: str) -> Path:
    """A home that can't be made."""
    if how == "a file in the way":
        (tmp_path / "file").write_text("mine")
        return tmp_path / "file" / "irkit"
    if how == "procfs":
        return Path("/proc/irkit")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    return closed / "irkit"


@pytest.mark.parametrize("how", ["a file in the way", "procfs", "no right"])
@pytest.mark.parametrize("command", [("contain", "--yes"), ("collect",)])
def test_without_a_journal_nothing_is_changed(world: World, tmp_path: Path, how: str, command: tuple[str, ...]) -> None:
    home = unwritable(tmp_path, how)
    if how == "no right" and os.access(home.parent, os.W_OK):
        home = Path("/proc/self/irkit")  # root may write anywhere but there
    _, error = replace(world.laptop, home=home).both(command[0], *world.target, *command[1:], code=8)
    assert "nothing was changed" in error["message"]
    assert "IRKIT_HOME" in error["next"]
    assert world.writes() == []


def test_reading_needs_no_home(world: World, tmp_path: Path) -> None:
    laptop = replace(world.laptop, home=unwritable(tmp_path, "a file in the way"))
    laptop.run("contain", *world.target, "--dry-run").ended(0)
    laptop.run("verify", *world.target).ended(5)
    laptop.run("doctor").ended(8)
    laptop.run("incident", "list").ended(0)
