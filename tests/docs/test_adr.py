"""Decisions are numbered, whole, short, and in the index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

FOLDER = ROOT / "docs" / "adr"
INDEX = (FOLDER / "README.md").read_text()
DECISIONS = sorted(p for p in FOLDER.glob("[0-9]*.md") if not p.name.startswith("0000"))
SECTIONS = ["What we knew", "What we do", "What it costs"]

each_decision = pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.name[:4])


def test_they_are_numbered_without_a_gap():
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    assert DECISIONS


@each_decision
def test_a_decision_says_what_was_known_what_is_done_and_what_it_costs(path: Path):
    text = path.read_text()
    found = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    sections = dict(zip(found[1::2], found[2::2], strict=True))
    assert [heading for heading in sections if heading in SECTIONS] == SECTIONS
    assert all(body.strip() for body in sections.values())
    assert re.search(r"^Date: \d{4}-\d\d-\d\d\. Status: (accepted|superseded by \d+)\.$", text, re.MULTILINE)
    assert len(text.splitlines()) <= 40


@each_decision
def test_a_decision_is_in_the_index_under_its_title(path: Path):
    title = re.match(rf"# {int(path.name[:4])}\. (.+)\n", path.read_text())
    assert title
    assert f"- [{path.name[:4]}]({path.name}) {title[1]}\n" in INDEX


def test_the_index_has_nothing_else():
    assert len(re.findall(r"^- \[", INDEX, re.MULTILINE)) == len(DECISIONS)
