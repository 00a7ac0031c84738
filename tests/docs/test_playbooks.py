"""Every playbook loads and has a human twin; every step kind is documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from irkit.engine import library
from irkit.engine.grammar import fields_of
from irkit.engine.loader import loads
from irkit.engine.parameters import names
from irkit.model.playbook import TARGETS
from irkit.settings import Settings
from irkit.steps import KINDS
from tests.docs import runbooks

ENTRIES = list(library.list_all(Settings()))
PLAYBOOKS = [entry.playbook for entry in ENTRIES if entry.playbook is not None]
REFERENCE = (Path(__file__).parents[2] / "docs" / "reference" / "playbooks.md").read_text()
OTHER_HEADINGS = {"Before you start", "Undo", "The pod is gone"}

each_playbook = pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda playbook: playbook.name)
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)


def test_every_playbook_loads():
    assert [entry.mistake for entry in ENTRIES if entry.mistake] == []
    assert {playbook.name for playbook in PLAYBOOKS} == {
        "compromised-pod", "isolate-only", "collect-only", "leaked-secret", "vulnerable-image", "compromised-service-account",
        "database-credentials", "scheduled-rotation", "cryptominer", "compromised-node",
    }  # fmt: skip


@each_playbook
def test_a_playbook_is_called_what_its_file_is_called(playbook):
    assert playbook.name == Path(playbook.path).stem


@each_playbook
def test_the_runbook_names_the_steps_in_order(playbook):
    found = [heading for heading in runbooks.headings(library.runbook(playbook).read_text()) if heading not in OTHER_HEADINGS]
    assert found == [step.id for step in playbook.steps]


@each_playbook
def test_a_runbook_has_one_line_to_edit_and_says_how_to_undo(playbook):
    text = library.runbook(playbook).read_text()
    assert len(runbooks.NAMES.findall(text)) == 1
    assert runbooks.headings(text)[0] == "Before you start"
    assert "Undo" in runbooks.headings(text)


@each_playbook
def test_a_runbook_tells_what_each_block_should_print(playbook):
    """A tired person needs to know whether it worked."""
    text = library.runbook(playbook).read_text()
    silent = []
    for match in runbooks.BLOCK.finditer(text):
        after = text[match.end() :].split("```", 1)[0]
        if match[1] == "" and "Expect" not in after and not runbooks.NAMES.search(match[2]) and "Send it to" not in after:
            silent.append(match[2])
    assert silent == []


def test_no_runbook_is_left_over():
    used = {library.runbook(playbook) for playbook in PLAYBOOKS}
    assert set(library.builtin("runbooks").glob("*.md")) == used


@each_kind
def test_every_step_kind_is_documented(kind):
    section = re.search(rf"^### {re.escape(kind.kind)}$(.*?)(?=^##|\Z)", REFERENCE, re.MULTILINE | re.DOTALL)
    assert section, f"docs/reference/playbooks.md has no section '### {kind.kind}'"
    for name, field in fields_of(kind).items():
        row = re.search(rf"^\| `{name}` \|.*$", section[1], re.MULTILINE)
        assert row, f"{kind.kind}: no row for {name}"
        assert ("| required |" in row[0]) == field.required


def test_the_reference_documents_no_other_kind():
    kinds = re.search(r"^## Step kinds$(.*?)(?=^## |\Z)", REFERENCE, re.MULTILINE | re.DOTALL)
    assert kinds
    assert re.findall(r"^### (\S+)$", kinds[1], re.MULTILINE) == [kind.kind for kind in KINDS]


def test_the_example_of_the_reference_is_a_playbook():
    example = re.search(r"^```yaml\n(.*?)^```$", REFERENCE, re.MULTILINE | re.DOTALL)
    assert example
    assert [step.id for step in loads(example[1].encode(), "playbooks.md").steps] == ["cut-network", "ask-owner"]


@pytest.mark.parametrize("kind", TARGETS)
def test_every_name_is_documented(kind):
    target = {"workload": "app", "serviceaccount": "account", "namespace": "space"}.get(kind, kind)
    for name in names([(target, kind)]):
        assert f"`${{{name}}}`" in REFERENCE
