"""A sealed bag as one tar, the same octets each time it is made; and such a tar, which a stranger may have made, as a bag again.

POSIX pax (what every tar reads): names sorted, owners and times left out, modes as irkit writes bags. Whoever has the tar
needs nothing of irkit: ``tar -xf``, then any BagIt tool.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from irkit.errors import EvidenceError
from irkit.evidence.manifests import Unusable, open_regular, unsafe
from irkit.ports.store import Stream
from irkit.text import printable

_BLOCK = 1 << 20
_MOST_FILES, _MOST_OCTETS = 1_000_000, 1 << 44


class Packed(io.RawIOBase):
    """The tar of ``bag`` as a stream to be read once; its members are below ``name/``. Raises EvidenceError while it is read."""

    def __init__(self, bag: Path, name: str) -> None:
        super().__init__()
        self._bag, self._name = bag, name
        self._files = sorted(p.relative_to(bag).as_posix() for p in bag.rglob("*") if p.is_file() or p.is_symlink())
        self._chunks = self._parts()
        self._left = memoryview(b"")

    @property
    def octets(self) -> int:
        """Of the whole tar."""
        found = 0
        for name in self._files:
            size = (self._bag / name).lstat().st_size
            found += len(self._header(name, size)) + size + -size % tarfile.BLOCKSIZE
        found += 2 * tarfile.BLOCKSIZE
        return found + -found % tarfile.RECORDSIZE

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._left:
            self._left = memoryview(next(self._chunks, b""))
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def _parts(self) -> Iterator[bytes]:
        sent = 0
        for name in self._files:
            for part in self._member(name):
                sent += len(part)
                yield part
        sent += 2 * tarfile.BLOCKSIZE
        yield bytes(2 * tarfile.BLOCKSIZE + -sent % tarfile.RECORDSIZE)

    def _member(self, name: str) -> Iterator[bytes]:
        try:
            with open_regular(self._bag / name) as stream:
                size = os.fstat(stream.fileno()).st_size
                yield self._header(name, size)
                left = size
                while left and (block := stream.read(min(left, _BLOCK))):
                    left -= len(block)
                    yield block
                if left or stream.read(1):
                    raise EvidenceError(f"{printable(name, 400)} of the bag changed while it was read")
                if padding := -size % tarfile.BLOCKSIZE:
                    yield bytes(padding)
        except (OSError, Unusable) as error:
            raise EvidenceError(f"{printable(name, 400)} of the bag can't be read: {printable(error)}") from None

    def _header(self, name: str, size: int) -> bytes:
        info = tarfile.TarInfo(f"{self._name}/{name}")
        info.size, info.mode = size, 0o600
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def unpack(stream: Stream, to: Path) -> Path:
    """The one directory that the tar has, below ``to``, which must be empty. Only files are written, each once, inside of it.

    Raises EvidenceError for anything that `Packed` does not make, and where the disk refuses.
    """
    files = octets = 0
    tops: set[str] = set()
    try:
        with tarfile.open(fileobj=stream, mode="r|", format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
            for member in tar:
                top, slash, name = member.name.partition("/")
                tops.add(top)
                files, octets = files + 1, octets + member.size
                why = "is no file" if not member.isreg() or member.issparse() else unsafe(name) if slash else "has no directory"
                if why or unsafe(top) or len(tops) > 1 or files > _MOST_FILES or octets > _MOST_OCTETS:
                    raise EvidenceError(f"the tar is not one that irkit makes: {printable(member.name, 200)} {why or 'is one too many'}")
                _write(tar, member, to / PurePosixPath(member.name))
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise EvidenceError(f"the tar is damaged: {printable(error)}") from None
    except OSError as error:
        raise EvidenceError(f"the tar can't be unpacked to {printable(to, 400)}: {error.strerror or printable(error)}") from None
    if not tops:
        raise EvidenceError("the tar is empty")
    return to / tops.pop()


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    source = tar.extractfile(member)
    assert source is not None, "it is a regular file"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb") as file:
        while block := source.read(_BLOCK):
            file.write(block)
