"""A person at a terminal, or nobody."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

from irkit.errors import Declined
from irkit.text import printable


class Terminal:
    """Asks on stderr and reads stdin. ``yes``: every confirmation is given; instructions still need a person."""

    def __init__(self, *, yes: bool = False, stdin: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self._yes = yes
        self._in, self._out = stdin or sys.stdin, stderr or sys.stderr
        self.name = "--yes" if yes else "terminal"
        self.interactive = not yes

    def confirm(self, question: str) -> bool:
        if self._yes:
            return True
        if not self._in.isatty():
            raise Declined(f"{question} Nobody can be asked: this is no terminal", next="the same command with --yes")
        return self._read(f"{question} [y/N] ").strip().lower() in ("y", "yes")

    def answer(self, instruction: str) -> str | None:
        if not self._in.isatty():
            raise Declined(f"{printable(instruction)}: this needs a person, and there is no terminal", next="irkit resume, at a terminal")
        text = self._read(f"{printable(instruction, 2000)}\nDone? Say what you did, or press Enter to stop here: ").strip()
        return text or None

    def _read(self, prompt: str) -> str:
        try:
            print(prompt, end="", file=self._out, flush=True)
            line = self._in.readline()
        except KeyboardInterrupt:
            print(file=self._out)
            raise
        if not line:
            print(file=self._out)
            raise Declined("no answer: the input ended")
        return line


class Console:
    """Tells people what to tell whom: nothing is sent yet, and the journal says so."""

    def send(self, to: Sequence[str], message: str) -> str:
        return f"shown here, not sent: {printable(message, 2000)}"
