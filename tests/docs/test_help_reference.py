"""Every field of what others rely on is in the reference, and nothing else is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from irkit.engine import result
from irkit.engine.result import Evidence, RunResult, StepResult
from irkit.evidence.manifests import read_info
from irkit.model import changes, outcome, record
from irkit.network.verdict import Isolation, Leak
from irkit.settings import Settings
from tests.docs import generated, pages
from tests.e2e.running import Irkit

RESULT = pages.REFERENCE / "result.md"
EXAMPLE = generated.document(pages.block(RESULT, "example"))


def rows(page: Path, head: str) -> list[tuple[str, ...]]:
    """The cells of the table that begins with this one."""
    found = re.search(rf"^\| {re.escape(head)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", page.read_text(), re.MULTILINE)
    assert found, f"{page.name} has no table {head}"
    return [tuple(cell.strip() for cell in line.strip("|\n").split("|")) for line in found[1].splitlines()]


def named(page: Path, head: str, column: int = 0) -> list[str]:
    return [name for row in rows(page, head) for name in re.findall(r"`([^`]+)`", row[column])]


def fields(kind: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(kind)]


@pytest.mark.parametrize(
    ("head", "kind"),
    [("field", RunResult), ("in `isolation`", Isolation), ("in a leak", Leak), ("in a step", StepResult), ("in `evidence`", Evidence)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_field_of_a_result_is_documented(head: str, kind: type[msgspec.Struct]):
    assert sorted(named(RESULT, head)) == sorted(fields(kind))


def test_the_example_is_a_result():
    assert msgspec.to_builtins(msgspec.convert(EXAMPLE, RunResult, strict=True)) == EXAMPLE
    assert isinstance(msgspec.convert(EXAMPLE["isolation"], Isolation, strict=True), Isolation)
    assert set(EXAMPLE) == set(fields(RunResult))


def test_every_outcome_of_a_run_is_documented():
    text = Path(result.__file__).read_text()
    (cell,) = (row[1] for row in rows(RESULT, "field") if row[0] == "`outcome`")
    said = re.findall(r"`(\w+)`", cell)
    assert set(re.findall(r'outcome="(\w+)"|\b\d+: "(\w+)"', text)) <= {(w, "") for w in said} | {("", w) for w in said}
    assert "lifted" in said


def test_every_outcome_of_a_step_is_documented():
    (cell,) = (row[1] for row in rows(RESULT, "in a step") if row[0] == "`outcome`")
    words = {kind.__name__.lower() for kind in get_args(outcome.Outcome)}
    assert set(re.findall(r"`(\w+)`", cell)) == words | {"pending", "planned"}


def test_every_record_of_the_journal_is_documented():
    page = pages.REFERENCE / "journal.md"
    kinds = {kind.__struct_config__.tag: fields(kind) for kind in get_args(record.Body)}
    assert {row[0].strip("`"): re.findall(r"`(\w+)`", row[1]) for row in rows(page, "`record`")} == kinds
    assert named_line(page, '`{"seq"') == fields(record.Line)


def named_line(page: Path, start: str) -> list[str]:
    found = re.search(rf"{re.escape(start)}[^`]*`", page.read_text())
    assert found
    return re.findall(r'"(\w+)"', found[0])


def test_every_change_that_is_recorded_is_documented():
    found = re.search(r"^A change is one of ((?:`\w+`(?:, )?)+);", (pages.REFERENCE / "journal.md").read_text(), re.MULTILINE)
    assert found
    assert set(re.findall(r"`(\w+)`", found[1])) == {kind.__struct_config__.tag for kind in get_args(changes.Change)} - {"await"}


def test_every_setting_has_its_row():
    assert named(pages.REFERENCE / "settings.md", "setting") != []
    texts = generated.docstrings(Path(str(__import__("irkit.settings").settings.__file__)), "Settings")
    assert all(texts.get(field.name) for field in msgspec.structs.fields(Settings))


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of a rehearsal of the whole incident."""
    return Irkit(Path("none"), tmp_path_factory.mktemp("home")).run("rehearse", "-o", "json").ended(0).document


@pytest.fixture(scope="module")
def bag(rehearsed: dict[str, Any]) -> Path:
    return Path(rehearsed["evidence"]["bundle"])


def test_every_field_of_a_credential_is_documented(rehearsed: dict[str, Any]):
    assert rehearsed["credentials"]
    for credential in rehearsed["credentials"]:
        assert sorted(named(RESULT, "in a credential")) == sorted(credential)


def test_every_label_of_a_bag_is_documented(bag: Path):
    labels = [label for label, _ in read_info(bag / "bag-info.txt")]
    assert sorted(named(pages.REFERENCE / "bundle.md", "label")) == sorted(labels)


def test_every_file_of_a_bag_is_in_the_layout(bag: Path):
    text = (pages.REFERENCE / "bundle.md").read_text()
    layout = re.search(r"^```\n(bagit\.txt.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert layout
    named_there = {line.split()[0] for line in layout[1].splitlines()}
    tags = {path.name for path in bag.iterdir() if path.is_file()}
    assert tags == {name for name in named_there if "/" not in name and (bag / name).exists()}
    top = {path.name + "/" * path.is_dir() for path in (bag / "data").iterdir()}
    assert {name.partition("/")[0] for name in named_there} >= {name.strip("/").partition("/")[0] for name in top}
    for kind in ("pod.json", "events.json", "services.json", "endpointslices.json", "current.log"):
        assert kind in layout[1]
        assert list((bag / "data").rglob(kind))
    assert {path.stat().st_mode & 0o777 for path in bag.rglob("*") if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (bag, *bag.rglob("*")) if path.is_dir()} == {0o700}


def test_a_third_party_verifies_as_documented(bag: Path, tmp_path: Path):
    text = (pages.REFERENCE / "bundle.md").read_text()
    blocks = re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (bagit,) = (b for b in blocks if b.startswith("pip install bagit\n"))
    (coreutils,) = (b for b in blocks if b.startswith("cd bags/1\n"))
    shutil.copytree(bag, tmp_path / "bags" / "1")
    environ = {"PATH": f"{generated.PROGRAM.parent}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    for script in (bagit.removeprefix("pip install bagit\n"), coreutils):
        subprocess.run(["sh", "-e"], input=script, text=True, cwd=tmp_path, env=environ, check=True, capture_output=True, timeout=60)
    (tmp_path / "bags" / "1" / "data" / "incident-logs.txt").write_text("nothing happened\n")
    for script in (bagit.removeprefix("pip install bagit\n"), coreutils):
        assert subprocess.run(["sh", "-e"], input=script, text=True, cwd=tmp_path, env=environ, capture_output=True, timeout=60).returncode != 0
