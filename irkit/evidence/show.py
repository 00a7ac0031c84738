"""What is in a bag, as values. Rendering, and escaping what strangers wrote, is the caller's."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from irkit.errors import EvidenceError, UsageError
from irkit.evidence.disk import files_below
from irkit.evidence.manifests import Unusable, read_info
from irkit.evidence.sealing import CONTENTS, MISSING, Contents, limited
from irkit.evidence.timeline import Moment, timeline
from irkit.model.evidence import Gap
from irkit.text import printable


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the payload; ``path`` is relative to ``data/``. ``what`` is raw text; empty where the bag does not say."""

    path: str
    size: int  # bytes
    what: str
    complete: bool = True


@dataclass(frozen=True, slots=True)
class BagContents:
    path: Path
    info: tuple[tuple[str, str], ...]  # bag-info.txt, in order
    entries: tuple[Entry, ...]  # by path
    gaps: tuple[Gap, ...]
    moments: tuple[Moment, ...]  # the timeline


def contents(bag: Path) -> BagContents:
    """What a bag holds, made by irkit or not; what its tag files do not say stays empty. It is not verified.

    Raises UsageError where there is no directory, EvidenceError where it has no payload.
    """
    if not os.path.isdir(bag):  # noqa: PTH112 - a name too long is no error to it
        raise UsageError(f"{printable(bag, 1000)} is not a directory")
    data = bag / "data"
    if data.is_symlink() or not data.is_dir():
        raise EvidenceError(f"{printable(bag, 1000)} is no bag: it has no directory data/")
    described = _described(bag)
    said = {entry.path: entry for entry in described.artefacts}
    entries = []
    for path in sorted(files_below(data)):
        of = described.names.get(path)
        entry = said.get(path)
        what = entry.what if entry else f"another name of {', '.join(of)}" if of else ""
        entries.append(Entry(path, (data / path).lstat().st_size, what, entry is None or entry.complete))
    return BagContents(bag, _info(bag), tuple(entries), _gaps(bag), timeline(data, [entry.path for entry in entries]))


def _described(bag: Path) -> Contents:
    try:
        return msgspec.json.decode(limited(bag / CONTENTS), type=Contents)
    except (OSError, ValueError, RecursionError):
        return Contents(())


def _gaps(bag: Path) -> tuple[Gap, ...]:
    try:
        return msgspec.json.decode(limited(bag / MISSING), type=tuple[Gap, ...])
    except (OSError, ValueError, RecursionError):
        return ()


def _info(bag: Path) -> tuple[tuple[str, str], ...]:
    try:
        return tuple(read_info(bag / "bag-info.txt"))
    except (OSError, Unusable):
        return ()
