"""In CI a skipped test fails the run, and its reason is shown."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULE = "import pytest\n@pytest.mark.skip(reason='no moon tonight')\ndef test_tide(): pass\ndef test_sun(): pass\n"
FIXTURE = "import pytest\n@pytest.fixture\ndef moon(): pytest.skip('no moon tonight')\ndef test_tide(moon): pass\ndef test_sun(): pass\n"


@pytest.mark.parametrize("source", [MODULE, FIXTURE])
@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_skips(tmp_path: Path, source: str, ci: str, code: int) -> None:
    (tmp_path / "test_it.py").write_text(source)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-rs", "-c", str(tmp_path / "pytest.ini"), str(tmp_path / "test_it.py")]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "CI": ci}, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stdout
    assert "no moon tonight" in done.stdout
    assert ("which CI does not allow" in done.stdout) == bool(ci)
