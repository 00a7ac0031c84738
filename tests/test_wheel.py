"""The wheel is whole: away from any checkout it lists its playbooks, finds their runbooks, and contains a pod."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with irkit from a wheel, and a place to be in that is not a checkout."""
    home = tmp_path_factory.mktemp("wheel")
    for command in (
        ["hatchling", "build", "-t", "wheel", "-d", str(home)],
        ["pip", "install", "--quiet", "--no-deps", "--no-index", "--find-links", str(home), "--target", str(home / "site"), "irkit"],
    ):
        subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True, capture_output=True, timeout=120)
    (home / "elsewhere").mkdir()
    return home


def irkit(installed: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(installed / "site"), "IRKIT_HOME": str(installed / "state")}
    command = [sys.executable, "-m", "irkit", *words]
    return subprocess.run(command, cwd=installed / "elsewhere", env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


def test_it_is_the_wheel_that_runs(installed: Path) -> None:
    program = [sys.executable, "-c", "import irkit; print(irkit.__file__)"]
    environ = {**os.environ, "PYTHONPATH": str(installed / "site")}
    done = subprocess.run(program, cwd=installed / "elsewhere", env=environ, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).is_relative_to(installed / "site")


def test_it_has_every_playbook_and_runbook_of_the_checkout(installed: Path) -> None:
    for kind, pattern in (("playbooks", "*.yaml"), ("runbooks", "*.md")):
        ours = {p.name for p in (ROOT / kind).glob(pattern)}
        assert ours
        assert {p.name for p in (installed / "site" / "irkit" / f"_{kind}").glob(pattern)} == ours


def test_its_playbooks_load(installed: Path) -> None:
    names = sorted(p.stem for p in (ROOT / "playbooks").glob("*.yaml"))
    done = irkit(installed, "playbook", "validate", *names)
    assert done.returncode == 0, done.stderr
    listed = irkit(installed, "playbook", "list").stdout
    assert all(name in listed for name in names)


def test_it_contains_a_pod(installed: Path) -> None:
    done = irkit(installed, "rehearse")
    assert done.returncode == 0, done.stderr
    assert "verdict:" in done.stdout + done.stderr
