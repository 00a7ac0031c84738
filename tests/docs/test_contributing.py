"""Follow CONTRIBUTING.md in a copy of the checkout: write its step, add the entries that it names, and run the laws."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
STEP = re.search(r"This is `(?P<path>irkit/steps/\w+\.py)`, whole:\n\n```python\n(?P<source>.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SECTION = re.search(r"^```markdown\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
CASE = re.search(r"what a playbook would write: `(.+?)`\.", PAGE)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout in which the step's file is there and `KINDS` has it."""
    for part in ("irkit", "tests", "playbooks", "runbooks", "docs"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    assert STEP
    (tmp_path / STEP["path"]).write_text(STEP["source"])
    edit(tmp_path / "irkit/steps/__init__.py", "\nKINDS:", "\nfrom irkit.steps.protect import Protect\n\nKINDS:")
    edit(tmp_path / "irkit/steps/__init__.py", "Manual)", "Manual, Protect)")
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} in {path}"
    path.write_text(text.replace(old, new))


def run_tests(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    environ = {**os.environ, "PYTHONPATH": str(copy), "CI": ""}
    return subprocess.run(command, cwd=copy, env=environ, capture_output=True, text=True, timeout=300)


def test_without_them_the_tests_say_what_is_missing(copy: Path) -> None:
    done = run_tests(copy, "tests/engine/test_laws.py", "tests/docs/test_playbooks.py", "-k", "every_kind or documented")
    assert done.returncode == 1
    assert "test_every_kind_has_a_case" in done.stdout
    assert "has no section '### protect'" in done.stdout


def test_with_a_case_and_a_section_the_laws_hold(copy: Path) -> None:
    assert CASE
    assert SECTION
    edit(copy / "tests/engine/test_laws.py", '    "manual": {', f'    {CASE[1]},\n    "manual": {{')
    edit(copy / "docs/reference/playbooks.md", "\n## A kind of your own", f"\n{SECTION[1]}\n## A kind of your own")
    done = run_tests(copy, "tests/engine/test_laws.py", "tests/docs/test_playbooks.py", "-k", "protect or every_kind or documented")
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
