"""Whatever is typed: a documented exit code, nothing raw, no traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irkit.cli.commands import COMMANDS
from irkit.sandbox import Sandbox
from tests.hostile.world import EVIL, Laptop, World

CODES = {0, 1, 2, 3, 4, 5, 6, 7, 8, 130}
FLAGS = [
    "-n",
    "--namespace",
    "-l",
    "--selector",
    "--context",
    "--kubeconfig",
    "-o",
    "--output",
    "--yes",
    "-y",
    "--dry-run",
    "--playbooks",
    "--protected",
    "--without-evidence",
    "--keep-workload",
    "--take",
    "--phase",
    "-p",
    "--param",
    "--pod",
    "--explain",
    "--runbook",
    "--seed",
    "--scenario",
    "-h",
    "--",
    "-",
    "--help",
    "--version",
    "-ojson",
    "--output=json",
    "-n=",
    "--pod=keep",
]
VALUES = [
    "todo-app",
    "kube-system",
    "backend",
    "deployment/backend",
    "pod/x",
    "app=backend",
    "json",
    "text",
    "yaml",
    "rehearsal",
    "compromised-pod",
    "collect-only",
    "isolate-only",
    "containment",
    "recovery",
    "state,logs",
    "keep",
    "return",
    "delete",
    "a=b",
    "list",
    "show",
    "verify",
    "validate",
    "schema",
    "rbac",
    "0",
    "-1",
    "",
    "..",
    "/",
    "/dev/null",
    "/proc/self/mem",
    "x" * 300,
    EVIL.replace("\x00", ""),
    "\udcff",
    "20261122T031502Z-x-y",
]
# what runs until somebody ends it, or works for seconds, is tested by itself
HARMLESS = [c for c in COMMANDS if c not in ("sandbox", "rehearse")]
word = st.one_of(st.sampled_from(FLAGS), st.sampled_from(VALUES), st.text(st.characters(exclude_characters="\x00"), max_size=12))
line = st.builds(lambda command, words: [command, *words], st.sampled_from([*HARMLESS, "SUSPECT"]), st.lists(word, max_size=6))


def holds(laptop: Laptop, pod: str, words: list[str]) -> None:
    told = laptop.quick(*("contain" if n == 0 and w == "SUSPECT" else w for n, w in enumerate(words)), *([pod] if words[0] == "SUSPECT" else []))
    told.clean()
    assert told.code in CODES - {1}, f"{words}: {told.said}"
    asked_help = {"-h", "--help"} & set(words)
    if told.code not in (0, 5) and not asked_help:
        assert told.complaint or told.stdout, f"{words}: it ended with {told.code} and said nothing"
    if told.code == 2 and told.stdout[:1] == b"{":
        assert json.loads(told.stdout)["error"]["code"] == 2


@given(line)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
def test_any_command_line(quiet_box: Sandbox, tmp_path: Path, words: list[str]) -> None:
    holds(Laptop(quiet_box.kubeconfig, tmp_path / "home"), quiet_box.suspect[1], words)


@pytest.mark.slow
@given(line)
@settings(max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_many_command_lines(quiet_box: Sandbox, tmp_path: Path, words: list[str]) -> None:
    holds(Laptop(quiet_box.kubeconfig, tmp_path / "home"), quiet_box.suspect[1], words)


def test_what_is_typed_is_no_program(quiet: World) -> None:
    """As processes: what argv and the environment may hold that a call from Python may not."""
    for words in (["contain", "\udcff\udcfe"], ["\udcff"], ["contain", "x", "-o", "\udc80"], ["doctor", "-n", "\udcff"]):
        quiet.laptop.run(*words).ended(2)
