"""``irkit playbook``: what it prints, and that it prints nothing of a stranger's unescaped."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema_rs
import pytest
from typer.testing import CliRunner

from irkit.cli.playbook import app
from irkit.engine import library
from irkit.errors import IrkitError, PlaybookError, UsageError


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), env={"IRKIT_PLAYBOOKS": "", "XDG_CONFIG_HOME": "/nonexistent", "IRKIT_CONFIG": ""})
    if isinstance(result.exception, IrkitError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list():
    lines = run("list").splitlines()
    assert [line.split()[0] for line in lines] == sorted(p.stem for p in library.builtin().glob("*.yaml"))
    line = next(line for line in lines if line.startswith("compromised-pod "))
    assert "critical" in line
    assert "(containment, investigation, eradication, recovery, post-mortem)" in line


def test_list_as_json():
    items = json.loads(run("list", "-o", "json"))["items"]
    item = next(item for item in items if item["name"] == "compromised-pod")
    assert item["steps"][0] == {"id": "cut-network", "step": "quarantine", "phase": "containment"}


def test_list_shows_what_can_not_be_read(tmp_path: Path):
    (tmp_path / "bad.yaml").write_text("kind: [")
    out = run("list", "--playbooks", str(tmp_path))
    assert re.search("^bad +has mistakes: ", out, re.MULTILINE)
    assert json.loads(run("list", "--playbooks", str(tmp_path), "-o", "json"))["items"][0]["mistake"]


def test_show_is_the_file():
    assert run("show", "compromised-pod") == (library.builtin() / "compromised-pod.yaml").read_text()
    assert run("show", "compromised-pod", "--runbook") == (library.builtin("runbooks") / "compromised-pod.md").read_text()


def test_show_as_json_is_a_playbook_still():
    document = json.loads(run("show", "compromised-pod", "-o", "json"))
    jsonschema_rs.Draft202012Validator(json.loads(run("schema"))).validate(document)


def test_show_escapes_what_a_runbook_holds(tmp_path: Path):
    source = (library.builtin() / "isolate-only.yaml").read_text()
    (tmp_path / "isolate-only.yaml").write_text(source)
    (tmp_path / "isolate-only.md").write_bytes(b"a\tb\x1b[31m\xff\n")
    assert run("show", "isolate-only", "--runbook", "--playbooks", str(tmp_path)) == "a       b\\x1b[31m\\xff\n"


def test_validate_says_all_mistakes_of_all_files(tmp_path: Path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text("kind: Playbok\n")
    assert run("validate", "compromised-pod").endswith("compromised-pod, 12 steps, no mistakes\n")
    with pytest.raises(PlaybookError, match=r"\n9 mistakes; nothing was run\.$") as caught:
        run("validate", str(tmp_path / "one.yaml"), "compromised-pod", str(tmp_path / "two.yaml"), str(tmp_path / "three.yaml"))
    assert caught.value.exit_code == 2
    assert {Path(mistake.file).name for mistake in caught.value.mistakes} == {"one.yaml", "two.yaml", "three.yaml"}


def test_usage():
    with pytest.raises(UsageError, match="did you mean compromised-pod"):
        run("show", "compromised")
    with pytest.raises(UsageError, match="no output format 'yml'; known are text, json"):
        run("list", "-o", "yml")
