"""docs/security.md names the tests that prove its lines: each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/security.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE)


def test_every_test_that_is_named_is_there() -> None:
    missing = [f"{file}::{name}" for file, name in NAMED if not re.search(rf"^def {name}\b", _source(file), re.MULTILINE)]
    assert not missing


def test_every_line_of_what_is_tried_names_one() -> None:
    tried = PAGE.split("## What an attacker tries", 1)[1]
    rows = [line for line in tried.splitlines() if line.startswith("| ") and not line.startswith(("| tried", "|---"))]
    assert len(rows) > 30
    assert [row for row in rows if "`tests/" not in row.rsplit("|", 2)[1]] == []


def _source(file: str) -> str:
    path = ROOT / file
    return path.read_text() if path.exists() else ""
