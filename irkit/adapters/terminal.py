"""A person at a terminal, or nobody."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from secrets import token_urlsafe
from typing import TextIO

from irkit.errors import Declined, UsageError
from irkit.model.changes import Change
from irkit.text import printable


class Terminal:
    """Asks on stderr and reads stdin. ``yes``: every confirmation is given; instructions still need a person."""

    def __init__(
        self, *, yes: bool = False, stdin: TextIO | None = None, stderr: TextIO | None = None, values: Mapping[str, Path] | None = None
    ) -> None:
        """``values``: files (``/dev/fd/3`` is one) from which `secret` reads, by name; a name without one is prompted for."""
        self._yes, self._values = yes, dict(values or {})
        self._in, self._out = stdin or sys.stdin, stderr or sys.stderr
        self.name = "--yes" if yes else "terminal"
        self.interactive = not yes

    def confirm(self, question: str, changes: Sequence[Change] = ()) -> bool:
        if self._yes:
            return True
        if not self._in.isatty():
            raise Declined(f"{question} Nobody can be asked: this is no terminal", next="the same command with --yes")
        return self._read(f"{question} [y/N] ").strip().lower() in ("y", "yes")

    def answer(self, instruction: str) -> str | None:
        if not self._in.isatty():
            raise Declined("this needs a person, and there is no terminal", next="irkit resume, at a terminal")
        text = self._read(f"{printable(instruction, 2000)}\nDone? Say what you did, or press Enter to stop here: ").strip()
        return text or None

    def secret(self, name: str, prompt: str) -> str | None:
        if path := self._values.get(name):
            return _whole(path)
        if not self._in.isatty():
            raise Declined(f"{printable(name)} needs a value from its issuer, and there is no terminal (--value {printable(name)}=FILE gives it)",
                           next=f"the same command with --value {printable(name)}=FILE")  # fmt: skip
        from getpass import getpass

        print(printable(prompt, 2000), file=self._out)
        return getpass(f"New value of {printable(name)} (hidden; Enter leaves it for later): ", self._out) or None

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


class Unattended(Terminal):
    """A rehearsal without anybody at the terminal: it answers everything itself, also what in earnest only a person can."""

    def __init__(self, values: Mapping[str, Path] | None = None) -> None:
        super().__init__(yes=True, values=values)
        self.name = "rehearsal"

    def answer(self, instruction: str) -> str | None:
        return "answered by the rehearsal itself; in earnest a person says here what is known"

    def secret(self, name: str, prompt: str) -> str | None:
        return super().secret(name, prompt) if name in self._values else f"rehearsal-{token_urlsafe(24)}"


def _whole(path: Path) -> str:
    """What a file holds, without the newline at its end. Raises UsageError."""
    try:
        value = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"--value: {printable(path)}: {why}") from None
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise UsageError(f"--value: {printable(path)} is empty")
    return value
