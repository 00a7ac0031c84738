"""The bags of one incident: ``bags/1``, ``bags/2``, one each collection; ``bags/N.partial`` while it is open."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from irkit.errors import EvidenceError
from irkit.evidence.disk import create, guarded, make_private, sync, write_all
from irkit.evidence.sealing import sealed_bag
from irkit.evidence.writer import Writer, partial_of, tidy
from irkit.model.evidence import Artefact, Gap, SealedBag, Stored
from irkit.ports import BagWriter
from irkit.text import printable


class BagStore:
    """Implements `EvidenceStore` in ``directory``. Nothing is written before the first bag is opened."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @cached_property
    def key(self) -> bytes:
        """32 random bytes of this incident, for the HMACs of Secret values.

        Kept beside the bags, mode 0600, never in one: who has a bag alone can't try values against the HMACs. Raises
        EvidenceError.
        """
        path = self._directory.with_name("hmac.key")
        with guarded("the incident's key", path):
            make_private(path.parent)
            if not path.exists():
                _write_once(path, os.urandom(32))
            key = path.read_bytes()
        if len(key) != 32:
            raise EvidenceError(f"the incident's key is damaged: {printable(path, 1000)} must hold 32 bytes, not {len(key)}")
        return key

    def open(self, number: int) -> BagWriter:
        """A new bag, the unfinished one of that number, or a sealed one, which takes nothing more. Raises EvidenceError."""
        final = self._directory / str(number)
        if final.exists():
            tidy(final)
            return _SealedWriter(final)
        return Writer(final)

    def unfinished(self, number: int) -> bool:
        """Whether a run left this bag open."""
        return partial_of(self._directory / str(number)).exists()

    def sealed(self) -> Sequence[SealedBag]:
        """The sealed bags by number, as their tag files describe them; not verified."""
        if not self._directory.is_dir():
            return ()
        numbers = sorted(int(p.name) for p in self._directory.iterdir() if p.name.isascii() and p.name.isdigit() and p.is_dir())
        return tuple(sealed_bag(self._directory / str(number)) for number in numbers)


class _SealedWriter:
    """A run ended between the seal and its line in the journal: sealing again only says what there is."""

    def __init__(self, bag: Path) -> None:
        self._bag = bag

    def add(self, artefact: Artefact) -> Stored | Gap:
        raise self._closed(artefact.what)

    def gap(self, gap: Gap) -> None:
        raise self._closed(gap.what)

    def flush(self) -> None:
        """Everything is on disk."""

    def seal(self, info: Mapping[str, str]) -> SealedBag:
        return sealed_bag(self._bag)

    def _closed(self, what: str) -> EvidenceError:
        return EvidenceError(f"{printable(what)} can't be added: the bag is sealed ({printable(self._bag, 1000)})")


def _write_once(path: Path, content: bytes) -> None:
    """A new file that is whole or absent; the first of two processes wins."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = create(temporary)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        os.close(descriptor)
        temporary.unlink()
    sync(path.parent)
