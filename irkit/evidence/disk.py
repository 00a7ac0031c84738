"""Writing to disk so that it stays, and saying in one sentence why it could not."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from irkit.errors import EvidenceError
from irkit.text import printable

_WHY = {
    errno.ENOSPC: "no space left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than is allowed",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EIO: "the disk reports an error",
    errno.EMFILE: "too many open files",
}


@contextmanager
def guarded(doing: str, path: Path) -> Iterator[None]:
    """Turn an OSError within into an EvidenceError: what was being done, where, and why it failed."""
    try:
        yield
    except OSError as error:
        why = _WHY.get(error.errno or 0) or error.strerror or type(error).__name__
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise EvidenceError(f"{doing}: {why} ({printable(path, 1000)})", next="free some space, then: irkit resume" if full else "") from error


def make_private(directory: Path) -> None:
    """The directory and the missing ones above it, each mode 0700."""
    missing: list[Path] = []
    while not directory.is_dir():
        missing.append(directory)
        directory = directory.parent
    for path in reversed(missing):
        try:
            path.mkdir(0o700)
        except FileExistsError:
            if not path.is_dir():
                raise


def remove_flat(directory: Path) -> None:
    """A directory that holds files only, or nothing, or is not there."""
    if directory.is_dir():
        for file in directory.iterdir():
            file.unlink()
        directory.rmdir()


def create(path: Path) -> int:
    """A new file, mode 0600, as a descriptor to write to."""
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_file(path: Path, data: bytes) -> None:
    """A whole small file, replaced at once and on disk when this returns."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = create(temporary)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)


def sync(path: Path) -> None:
    """Force a file or the names in a directory to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def files_below(root: Path) -> Iterator[str]:
    """Paths relative to ``root`` of everything that is no directory, in order; links are not followed."""
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(root / prefix) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                pending.append(f"{prefix}{entry.name}/")
            else:
                yield f"{prefix}{entry.name}"
