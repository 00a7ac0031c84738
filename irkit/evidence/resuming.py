"""What an interrupted run left in a bag: believed only where its hash says so."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

from irkit.evidence.disk import files_below
from irkit.evidence.index import GapLine, Line, StoredLine
from irkit.evidence.paths import INCOMPLETE

_AGAIN = "damaged by the crash of an earlier run"


def survey(data: Path, lines: Sequence[Line], append: Callable[[Line], None]) -> tuple[Line, ...]:
    """The lines that hold, in order, with new ones (appended) for what a power cut damaged. Raises OSError.

    A line without its file: the run ended between the two, and the artefact is captured again. A file whose bytes are
    not those of its line, or without a line (only a power cut does that), is kept with the suffix ``.incomplete``.
    """
    newest = {line.path: line for line in lines if isinstance(line, StoredLine)}
    second = {name for line in newest.values() for name in line.also}
    whole: set[str] = set()
    found: list[Line] = []
    for path in tuple(files_below(data)):
        line, file = newest.get(path), data / path
        if line is None and path in second:
            file.unlink()  # an earlier seal made it of what is still here
        elif line is not None and _matches(file, line):
            whole.add(path)
        else:
            found += _damaged(data, path, line)
    for new in found:
        append(new)
    return (*(line for line in lines if isinstance(line, GapLine) or (line.path in whole and newest[line.path] is line)), *found)


def _damaged(data: Path, path: str, line: StoredLine | None) -> tuple[Line, ...]:
    what = line.what if line else f"file {path}"
    file = data / path
    if not path.endswith(INCOMPLETE):
        names = (f"{path}{'' if n == 1 else f'.{n}'}{INCOMPLETE}" for n in itertools.count(1))
        path = next(name for name in names if not (data / name).exists())
        file = file.rename(data / path)
    size, sha256, sha512 = hashes(file)
    also, of = (line.also, line.of) if line else ((), "")
    gap = GapLine(what, _AGAIN, transient=line is not None and line.complete)
    return StoredLine(path, size, sha256, sha512, what, also, of, complete=False), gap


def _matches(file: Path, line: StoredLine) -> bool:
    return file.stat().st_size == line.size and hashes(file)[1:] == (line.sha256, line.sha512)


def hashes(file: Path) -> tuple[int, str, str]:
    """Size, SHA-256 and SHA-512 of a file, in one pass."""
    sha256, sha512, size = hashlib.sha256(), hashlib.sha512(), 0
    with file.open("rb", buffering=0) as stream:
        while block := stream.read(1 << 20):
            sha256.update(block)
            sha512.update(block)
            size += len(block)
    return size, sha256.hexdigest(), sha512.hexdigest()
