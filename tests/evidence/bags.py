"""What tests of bags share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bagit

from irkit.errors import IrkitError
from irkit.evidence.store import BagStore
from irkit.evidence.verify import verify
from irkit.model.evidence import Artefact, SealedBag, Stored
from irkit.ports import BagWriter


def artefact(path: str, *chunks: bytes, what: str = "", fails: IrkitError | None = None, also: tuple[str, ...] = (), of: str = "") -> Artefact:
    def source() -> Iterator[bytes]:
        yield from chunks
        if fails:
            raise fails

    return Artefact(tuple(path.split("/")), source, what or f"what {path} is", also, of)


def add(writer: BagWriter, piece: Artefact) -> Stored:
    """Put it in, and expect that it is taken."""
    stored = writer.add(piece)
    assert isinstance(stored, Stored), stored
    return stored


def sealed(directory: Path, *artefacts: Artefact, info: dict[str, str] | None = None) -> SealedBag:
    writer = BagStore(directory / "bags").open(1)
    for each in artefacts:
        writer.add(each)
    return writer.seal(info or {})


def accepted(bag: Path) -> None:
    """Valid, in our eyes and in those of the public package."""
    assert verify(bag).problems == ()
    bagit.Bag(str(bag)).validate()
