"""The memory of an unfinished bag: one line for each artefact and gap, appended, readable after a crash."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import msgspec

from irkit.evidence.disk import write_all


class StoredLine(msgspec.Struct, frozen=True, tag_field="line", tag="stored"):
    """A file of the payload. Written before the file gets its name, so that no file is ever without its line."""

    path: str
    size: int
    sha256: str
    sha512: str
    what: str
    also: tuple[str, ...] = ()
    of: str = ""
    complete: bool = True


class GapLine(msgspec.Struct, frozen=True, tag_field="line", tag="gap"):
    what: str
    why: str
    transient: bool = False


Line: TypeAlias = StoredLine | GapLine


class Index:
    """The file of lines. Not safe for threads: the writer holds its lock around `append`."""

    def __init__(self, path: Path) -> None:
        """Opens or creates the file; a torn last line is cut off. Raises OSError."""
        self._descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._path = path
        content = path.read_bytes()
        self._end = content.rfind(b"\n") + 1
        if self._end != len(content):
            os.ftruncate(self._descriptor, self._end)

    def lines(self) -> Iterator[Line]:
        """What was appended so far. A line that was damaged is left out: its file is then found without one."""
        decoder = msgspec.json.Decoder(Line)
        for raw in self._path.read_bytes().splitlines():
            try:
                yield decoder.decode(raw)
            except msgspec.DecodeError:
                continue

    def append(self, line: Line) -> None:
        """Raises OSError, and leaves no half line."""
        raw = msgspec.json.encode(line) + b"\n"
        os.lseek(self._descriptor, self._end, os.SEEK_SET)
        try:
            write_all(self._descriptor, raw)
        except OSError:
            os.ftruncate(self._descriptor, self._end)
            raise
        self._end += len(raw)

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)
