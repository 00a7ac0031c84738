"""Where incidents live: ``$IRKIT_HOME/incidents/ID``, one directory each, for the owner's eyes only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from irkit.engine import journal
from irkit.engine.state import State
from irkit.errors import EvidenceError, RefusedError, UsageError
from irkit.model.record import Line, Opened
from irkit.text import nearest, printable

_decoder = msgspec.json.Decoder(Line)


class Home:
    def __init__(self, root: Path) -> None:
        self.incidents = root / "incidents"
        self.locks = root / "locks"

    def directory(self, identifier: str) -> Path:
        return self.incidents / identifier

    def journal(self, identifier: str) -> Path:
        return self.directory(identifier) / journal.NAME

    def create(self, identifier: str) -> Path:
        """The new incident's directory; one without a record is what a kill or a full disk left. Raises RefusedError where it can't be made:
        without a journal nothing is changed."""
        path = self.directory(identifier)
        try:
            for directory in (self.incidents.parent, self.incidents):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.mkdir(mode=0o700, exist_ok=not _begun(path))
            _sync(self.incidents)
        except OSError as error:
            raise RefusedError(f"the journal can't be written: {printable(path)}: {error.strerror}; nothing was changed",
                               next="set IRKIT_HOME to a directory that can be written") from None  # fmt: skip
        return path

    def ids(self) -> list[str]:
        """Newest first. An incident exists from its first record; where there are bags, and yet no record, something is wrong."""
        try:
            return sorted((p.name for p in self.incidents.iterdir() if _begun(p)), reverse=True)
        except OSError:
            return []

    def opened(self) -> Iterator[Opened]:
        """How each incident began, newest first; one line is read of each. Unreadable ones are passed over."""
        for identifier in self.ids():
            try:
                with self.journal(identifier).open("rb") as file:
                    body = _decoder.decode(file.readline()).body
            except (OSError, msgspec.DecodeError):
                continue
            if isinstance(body, Opened):
                yield body

    def load(self, identifier: str) -> State:
        """Raises UsageError where there is no such incident, EvidenceError where its journal is not as irkit wrote it."""
        if identifier not in self.ids():
            near = nearest(identifier, self.ids())
            hint = f"; did you mean {near[0]}?" if near else "; irkit incident list shows what there is"
            raise UsageError(f"there is no incident {printable(identifier)}{hint}", next="irkit incident list")
        lines = journal.read(self.journal(identifier)).lines
        state = State.of(lines if lines and isinstance(lines[0].body, Opened) else ())
        if state.opened is None:
            raise EvidenceError(f"{printable(self.journal(identifier))}:1: it does not begin with an incident")
        if state.incident.id != identifier:  # it names the directory that is written to, and may come from elsewhere (handover.py)
            raise EvidenceError(f"{printable(self.journal(identifier))}:1: it is of another incident, {printable(state.incident.id)}")
        return state


def _begun(incident: Path) -> bool:
    try:
        return (incident / journal.NAME).stat().st_size > 0 or (incident / "bags").exists()
    except OSError:
        return False


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
