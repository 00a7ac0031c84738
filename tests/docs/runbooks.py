"""Runbooks, played: the shell blocks that a person pastes, in order, by the words after ``sh``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from irkit.cli.shell import Shell, environment
from irkit.game.runbook import BLOCK, NAMES, Block, blocks, edited, found, headings

__all__ = ["BLOCK", "NAMES", "Block", "blocks", "edited", "found", "headings", "play"]


def play(scripts: Sequence[str], names: str, *, kubeconfig: Path, path: Sequence[Path], home: Path, shell: str = "sh", **environ: str) -> str:
    """Run blocks one after the other in one shell, as pasted; the one line to edit is edited: ``NS=shop POD=web-1``.

    Returns what they printed. Raises AssertionError where a block ends with a failure or complains.
    """
    programs = ":".join([*map(str, path), os.environ["PATH"]])
    said = []
    with Shell(shell, environment({"KUBECONFIG": str(kubeconfig), "PATH": programs, "LC_ALL": "C.UTF-8", **environ}, home), home) as session:
        for script in scripts:
            ran = session.run(NAMES.sub(f"export {names}", script))
            assert ran.code == 0, f"a block ended with {ran.code}: {script}\n{ran.complaints}"
            said.append(ran.output)
            complaints = [line for line in ran.complaints.splitlines() if line and not line.startswith(("No resources found", "Warning: "))]
            assert not complaints, "\n".join(complaints)
    return "\n".join(said)
