"""Runbooks as data: the shell blocks that a person pastes, in order, by the word after ``sh``."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

BLOCK = re.compile(r"^```sh ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMES = re.compile(r"^export (?:NS=\S+(?: (?:POD|SECRET|ACCOUNT|WORKLOAD)=\S+)?|NODE=\S+)$", re.MULTILINE)


def headings(text: str) -> list[str]:
    """The headings of second level, in order."""
    return re.findall(r"^## (.+)$", text, re.MULTILINE)


def blocks(text: str, tag: str = "") -> list[str]:
    """The shell blocks that carry ``tag``; without it, those that everybody runs."""
    return [body for word, body in BLOCK.findall(text) if word == tag]


def play(scripts: Sequence[str], names: str, *, kubeconfig: Path, path: Sequence[Path], home: Path, shell: str = "sh", **environ: str) -> str:
    """Run blocks one after the other in one shell, as pasted; the one line to edit is edited: ``NS=shop POD=web-1``.

    Returns what they printed. Raises AssertionError where a block ends with a failure or complains.
    """
    parts = []
    for number, script in enumerate(scripts):
        edited = NAMES.sub(f"export {names}", script)
        parts.append(f'{edited}\n[ $? -eq 0 ] || {{ echo "block {number} failed" >&2; exit 1; }}\n')
    found = ":".join([*map(str, path), os.environ["PATH"]])
    environ = {"HOME": str(home), "KUBECONFIG": str(kubeconfig), "PATH": found, "LC_ALL": "C.UTF-8", **environ}
    done = subprocess.run([shell], input="\n".join(parts), capture_output=True, text=True, env=environ, timeout=240, check=False)
    complaints = [line for line in done.stderr.splitlines() if not line.startswith(("No resources found", "Warning: "))]
    assert done.returncode == 0, done.stderr
    assert not complaints, "\n".join(complaints)
    return done.stdout
