"""Start-up is a headline: what a command does not need is not imported. A judge of `sys.modules`, because time is not repeatable."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from irkit import __version__
from irkit.cli.commands import COMMANDS

HEAVY = {"hvac", "jinja2", "kubernetes", "pydantic", "requests", "rich", "slack_sdk", "tenacity", "yaml"}
PROGRAM = """
import json, sys
sys.argv = ["irkit", *sys.argv[1:]]
try:
    from irkit.__main__ import main
    main()
except SystemExit as end:
    print(json.dumps([end.code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def started(*words: str) -> tuple[str, int, set[str]]:
    """What `irkit WORDS` printed, its exit code, and the top-level modules that it imported."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, timeout=60, check=True)
    said, _, last = done.stdout.strip().rpartition("\n")
    code, modules = json.loads(last)
    return said + done.stderr, code, set(modules)


@pytest.mark.parametrize("words", [["--version"], ["--help"]])
def test_version_and_help_need_no_parser(words: list[str]) -> None:
    said, code, modules = started(*words)
    assert code == 0
    assert (__version__ if words == ["--version"] else "irkit contain") in said
    assert not modules & (HEAVY | {"typer", "msgspec", "ssl", "http", "subprocess", "concurrent", "logging"})


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_imports_what_is_heavy_before_it_runs(command: str) -> None:
    said, code, modules = started(command, "--help")
    assert (code, command in said) == (0, True)
    assert not modules & HEAVY
    assert "typer" in modules  # the program does see what is imported
