"""The journal of one incident: append-only, fsynced, hash-chained JSON lines. It is the truth about what irkit did.

Each line holds the SHA-256 of the line before it, so that nothing in the middle can be changed or taken out unnoticed;
the last hash goes into every sealed bag. A crash can tear only the last line, and a torn line was never acted upon
(its fsync had not returned): it is cut off when the journal is opened for writing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from irkit.errors import EvidenceError, HeldError, RefusedError
from irkit.model.record import Body, Line
from irkit.ports import Clock
from irkit.text import printable

FIRST = "0" * 64
NAME = "journal.jsonl"
_decoder = msgspec.json.Decoder(Line)


class Loaded(NamedTuple):
    lines: tuple[Line, ...]
    last: str  # hash of the last whole line
    size: int  # octets of whole lines
    torn: int  # octets after them


def read(path: Path) -> Loaded:
    """All whole lines, their chain verified. Raises EvidenceError where a line before the last is not as it was written."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EvidenceError(f"{printable(path)}: {error.strerror}") from None
    return parse(content, path)


def parse(content: bytes, name: object) -> Loaded:
    """The lines of ``content``, as `read`; ``name`` is for people."""
    lines: list[Line] = []
    last, size = FIRST, 0
    for number, raw in enumerate(content.split(b"\n")[:-1], 1):
        try:
            line = _decoder.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if size + len(raw) + 1 == len(content):
                break  # the last one: torn, though its newline reached the disk
            raise EvidenceError(f"{printable(name)}:{number}: not a journal line: {printable(error)}") from None
        if line.prev != last or line.seq != number:
            raise EvidenceError(f"{printable(name)}:{number}: the hash chain is broken here; lines were changed, added or removed")
        lines.append(line)
        last = hashlib.sha256(raw).hexdigest()
        size += len(raw) + 1
    return Loaded(tuple(lines), last, size, len(content) - size)


class Journal:
    """One journal, open for writing by one process at a time: two would break each other's chain. Raises HeldError."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._lock = threading.Lock()
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise RefusedError(f"the journal can't be written: {printable(path)}: {error.strerror}; nothing was changed",
                               next="set IRKIT_HOME to a directory that can be written") from None  # fmt: skip
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._fd)
            raise HeldError(f"incident {path.parent.name}", "another run of irkit on this machine") from None
        self.lines: list[Line] = []
        self.last = FIRST
        self._reread()

    def append(self, *bodies: Body) -> Sequence[Line]:
        """Write lines and fsync once; when this returns they are on disk. Raises EvidenceError where the disk refuses."""
        with self._lock:
            now = stamp(self._clock)
            data, last = b"", self.last
            lines: list[Line] = []
            for body in bodies:
                line = Line(seq=len(self.lines) + len(lines) + 1, at=now, prev=last, body=body)
                raw = msgspec.json.encode(line)
                last = hashlib.sha256(raw).hexdigest()
                data += raw + b"\n"
                lines.append(line)
            try:
                self._write(data)
                self.lines += lines
                self.last = last
            except BaseException:  # Ctrl-C between the disk and here: what is on the disk counts
                self._reread()
                raise
            return lines

    def _reread(self) -> None:
        loaded = read(self.path)
        if loaded.torn:
            os.ftruncate(self._fd, loaded.size)
            os.fsync(self._fd)
        self.lines, self.last = list(loaded.lines), loaded.last

    def _write(self, data: bytes) -> None:
        before = os.fstat(self._fd).st_size
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
            os.fsync(self._fd)
        except OSError as error:
            os.ftruncate(self._fd, before)  # giving room back always works, so that the next append is whole again
            begun, onwards = ("", ": irkit resume") if before else ("; nothing was changed", " the same command again")
            raise EvidenceError(f"the journal can't be written: {printable(self.path)}: {error.strerror}{begun}",
                                next=f"make room on that disk, then{onwards}") from None  # fmt: skip

    def bodies(self) -> Sequence[Body]:
        return [line.body for line in self.lines]

    def close(self) -> None:
        os.close(self._fd)


def stamp(clock: Clock) -> str:
    """The time as the journal writes it: RFC 3339, UTC, milliseconds."""
    return clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
