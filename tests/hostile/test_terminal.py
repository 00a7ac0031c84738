"""What a person sees: at any width, without colour, without Unicode; names and commands whole, so that they can be copied."""

from __future__ import annotations

import fcntl
import itertools
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping
from types import MappingProxyType

import pytest

from tests.e2e.running import PROGRAM
from tests.hostile.world import Laptop, World

ESCAPES = re.compile(rb"\x1b\[[0-9;]*[A-Za-z]")
COLOUR = re.compile(rb"\x1b\[[0-9;]+m")


def screen(laptop: Laptop, *words: str, columns: int = 80, environ: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """All that a run writes to a terminal, where somebody answers yes to every question."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    own = {**laptop.environ(), "TERM": "xterm-256color", **environ}
    process = subprocess.Popen([str(PROGRAM), *words], stdin=slave, stdout=slave, stderr=slave, env=own, start_new_session=True)
    os.close(slave)
    shown, answered = b"", 0
    while more := _read(master):
        shown += more
        while shown.count(b"[y/N] ") > answered:
            answered += 1
            os.write(master, b"y\n")
    os.close(master)
    assert process.wait(30) in (0, 5)
    return shown.replace(b"\r\n", b"\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""


def lines(shown: bytes) -> list[str]:
    """As they stand on the screen at the end: what was redrawn is gone."""
    return [re.sub(r"^.*\r", "", ESCAPES.sub(b"", line).decode()) for line in shown.split(b"\n")]


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_every_width(world: World, columns: int) -> None:
    shown = screen(world.laptop, "contain", *world.target, columns=columns)
    said = lines(shown)
    wide = [line for line in said if len(line) > columns and " " in line.strip() and not re.search(r"next:|evidence|\[y/N\]", line)]
    for line in wide:  # only one long name may stand alone in a line
        assert max(map(len, line.split())) > columns - 16, line
    (incident,) = (line.removeprefix("Incident ") for line in said if line.startswith("Incident "))
    assert sum("next:" in line for line in said) == 1
    (following,) = (line for line in said if "next:" in line)
    assert following.endswith(f"irkit verify {incident}"), "the command can be copied whole"
    assert any(line.endswith(f"{world.laptop.home}/incidents/{incident}/bags/1") for line in said), "and so can the path"
    assert sum(line.startswith("verdict: isolated") for line in said) == 1
    assert said.index(next(line for line in said if line.startswith("verdict:"))) < said.index(next(x for x in said if "collected" in x))
    assert not any(re.search(r"\b\d+$", line) and re.match(r"^\s+(d|h|s|MB|kB|B)\b", after) for line, after in itertools.pairwise(said))


def test_colour_is_for_terminals_that_want_it(world: World) -> None:
    target = world.target
    assert COLOUR.search(screen(world.laptop, "contain", *target, "--dry-run"))
    assert not COLOUR.search(screen(world.laptop, "contain", *target, "--dry-run", environ={"NO_COLOR": "1"}))
    assert not ESCAPES.search(screen(world.laptop, "contain", *target, environ={"TERM": "dumb"}))
    told = world.laptop.run("verify")
    assert not ESCAPES.search(told.stdout + told.stderr)


def test_words_say_what_colour_says(world: World) -> None:
    plain = screen(world.laptop, "contain", *world.target, "--dry-run", environ={"NO_COLOR": "1"})
    coloured = screen(world.laptop, "contain", *world.target, "--dry-run")
    same = [re.sub(r"[a-z0-9]{6}\b", "ID", line) for line in lines(plain)]
    assert same == [re.sub(r"[a-z0-9]{6}\b", "ID", line) for line in lines(coloured)]


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"LC_ALL": "", "LANG": "C"}, {"LC_ALL": "POSIX"}, {"PYTHONIOENCODING": "ascii"}])
def test_ascii_where_the_terminal_knows_no_more(world: World, locale: dict[str, str]) -> None:
    shown = screen(world.laptop, "contain", *world.target, environ={"TERM": "dumb", **locale})
    assert shown.isascii(), re.findall(rb"[^\x00-\x7f]+", shown)
    assert b"3 -> 0" in shown
    laptop = Laptop(world.laptop.kubeconfig, world.laptop.home, locale)
    for words in (("verify",), ("incident", "show"), ("bundle", "show"), ("playbook", "show", "compromised-pod", "--runbook"), ("doctor",),
                  ("verify", "-o", "json"), ("bundle", "show", "-o", "json"), ("contain", "ünïcödé"), ("playbook", "list")):  # fmt: skip
        told = laptop.run(*words).clean()
        assert (told.stdout + told.stderr).isascii(), words


def test_an_incident_is_named_before_anything_changes(world: World) -> None:
    assert "Incident" not in world.laptop.run("contain", *world.target, "--dry-run").said, "a dry run opens none"
    told = world.contain("--keep-workload").said
    assert re.search(r"^Incident \d{8}T\d{6}Z-backend-\w{6}$", told, re.MULTILINE)
    assert told.index("Incident ") < told.index("  containment") < told.index("1  create") < told.index("verdict:")
