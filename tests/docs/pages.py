"""The pages that people read, and the blocks in them that a program printed."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
REFERENCE = ROOT / "docs" / "reference"


def pages() -> list[Path]:
    """Every Markdown file that is for users or contributors."""
    return sorted(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")) + sorted((ROOT / "docs").rglob("*.md")) + sorted(
        (ROOT / "runbooks").glob("*.md"))  # fmt: skip


def block(page: Path, name: str) -> str:
    """What is between ``<!-- NAME -->`` and ``<!-- /NAME -->``."""
    found = _between(name).search(page.read_text())
    assert found, f"{page.name} has no block {name}"
    return found[2]


def write(page: Path, name: str, text: str) -> None:
    """Put ``text`` there instead."""
    old = page.read_text()
    assert _between(name).search(old), f"{page.name} has no block {name}"
    page.write_text(_between(name).sub(lambda found: f"{found[1]}{text}{found[3]}", old))


def _between(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {name} -->\n)(.*?)(<!-- /{name} -->)", re.DOTALL)
