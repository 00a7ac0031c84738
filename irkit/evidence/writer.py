"""A bag being filled by several threads at once.

What it promises: `add` returns ``Stored`` only after every byte of the artefact was forced to disk, and its line in the
index was written before the file got its name. `flush` and `seal` force the names and the index to disk, too: after
them a power cut loses nothing. After a SIGKILL at any moment the bag opens again with every artefact that was complete.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from irkit.errors import EvidenceError, IrkitError, passing
from irkit.evidence import resuming, sealing
from irkit.evidence.disk import create, guarded, make_private, remove_flat, sync, write_all
from irkit.evidence.index import GapLine, Index, Line, StoredLine
from irkit.evidence.paths import INCOMPLETE, escaped, payload_path
from irkit.model.evidence import Artefact, Gap, SealedBag, Stored
from irkit.text import printable, size

_BLOCK = 1 << 18  # bytes hashed and written at once: large enough that hashlib and the kernel do the work, not Python


def partial_of(final: Path) -> Path:
    """Where a bag is while it is open."""
    return final.with_name(f"{final.name}.partial")


def beside(final: Path) -> tuple[Path, Path]:
    """The index and the unfinished files of an open bag: outside of it, so that nothing has to leave it when it is sealed."""
    return final.with_name(f".{final.name}.index.jsonl"), final.with_name(f".{final.name}.unfinished")


def tidy(final: Path) -> None:
    """Remove what a sealed bag needs no more."""
    memory, temporary = beside(final)
    remove_flat(temporary)
    memory.unlink(missing_ok=True)


class Writer:
    """An open bag, which becomes ``final`` when it is sealed. Raises EvidenceError where the disk refuses."""

    def __init__(self, final: Path) -> None:
        self._final, self._partial = final, partial_of(final)
        self._data = self._partial / "data"
        self._memory, self._temporary = beside(final)
        self._lock = threading.Lock()
        self._claims: dict[str, threading.Lock] = {}
        self._numbers = itertools.count()
        self._stored: dict[str, StoredLine] = {}
        self._gaps: dict[str, Gap] = {}
        self._whole: set[str] = set()  # what there is, in the words of gaps
        self._directories: set[Path] = set()
        with guarded("opening the bag", self._partial):
            make_private(self._data)
            remove_flat(self._temporary)
            make_private(self._temporary)
            self._index = Index(self._memory)
            for line in resuming.survey(self._data, tuple(self._index.lines()), self._index.append):
                self._remember(line)

    @property
    def stored(self) -> tuple[StoredLine, ...]:
        """What is in the bag so far, by path."""
        with self._lock:
            return tuple(sorted(self._stored.values(), key=lambda line: line.path))

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What is missing so far, in the order of its finding. A gap that a later artefact closed is none."""
        with self._lock:
            return tuple(self._gaps.values())

    def add(self, artefact: Artefact) -> Stored | Gap:
        """Stream ``artefact`` into the bag.

        A source that fails after its first byte leaves the file with the suffix ``.incomplete`` and a gap; one that
        refuses before leaves a gap. Gaps are transient where the source could not be reached. Raises EvidenceError.
        """
        path = self._path(artefact)
        with self._lock:
            claim = self._claims.setdefault(path, threading.Lock())
        with claim:
            found = self._stored.get(path)
            return Stored(path=path, size=found.size, sha256=found.sha256) if found else self._capture(artefact, path)

    def gap(self, gap: Gap) -> None:
        """Record what could not be got; nothing where it is in the bag already. Raises EvidenceError."""
        what = _clean(gap.what)
        if what not in self._whole:
            self._append(GapLine(what, _clean(gap.why), gap.transient))

    def flush(self) -> None:
        """Force everything that was added to disk, names included. Raises EvidenceError."""
        with self._lock, guarded("writing the bag to disk", self._partial):
            self._index.sync()
            for directory in (*sorted(self._directories), self._data, self._partial, self._partial.parent):
                sync(directory)
            self._directories.clear()

    def seal(self, info: Mapping[str, str]) -> SealedBag:
        """Write second names, manifests and tag files, force all to disk, and give the bag its final name.

        The order of everything in it depends on its content alone. Raises EvidenceError; then the bag is as before, and
        `seal` can be tried again.
        """
        stored, gaps = self.stored, self.gaps
        with guarded("sealing the bag", self._partial):
            names = sealing.second_names(self._data, stored)
            sealing.write_tag_files(self._partial, stored, names, gaps, info)
            self.flush()
            self._partial.rename(self._final)
            sync(self._final.parent)
            self._index.close()
            tidy(self._final)
        return sealing.sealed_bag(self._final)

    def _path(self, artefact: Artefact) -> str:
        path = payload_path(artefact.path)
        found = self._stored.get(path)
        if found and found.of and artefact.of and found.of != artefact.of:
            return payload_path((*artefact.path[:-1], f"{artefact.path[-1]}.{artefact.of}"))
        return path

    def _capture(self, artefact: Artefact, path: str) -> Stored | Gap:
        what = _clean(artefact.what)
        if (self._data / path).is_dir() or any(str(parent) in self._stored for parent in PurePosixPath(path).parents):
            return self._missing(Gap(what=what, why="its name is taken by something else in the bag"))
        temporary = self._temporary / str(next(self._numbers))
        sink = _Sink(temporary, f"storing {printable(what)}")
        try:
            error = _pull(artefact, sink)
            if error is None or sink.size:
                sink.finish()
                line = self._keep(artefact, path if error is None else self._free(path), sink, complete=error is None)
        except BaseException:
            sink.abandon()
            raise
        if error is None:
            return Stored(path=line.path, size=line.size, sha256=line.sha256)
        sink.abandon()
        why = f"stopped after {size(sink.size)}: {error.message}" if sink.size else error.message
        return self._missing(Gap(what=what, why=_clean(why), transient=passing(error)))

    def _missing(self, gap: Gap) -> Gap:
        self.gap(gap)
        return gap

    def _keep(self, artefact: Artefact, path: str, sink: _Sink, *, complete: bool) -> StoredLine:
        """First the line, then the name: a file is never there without its hash on record."""
        line = StoredLine(path, sink.size, sink.sha256.hexdigest(), sink.sha512.hexdigest(), _clean(artefact.what),
                          tuple(escaped(name) for name in artefact.also), artefact.of, complete)  # fmt: skip
        target = self._data / path
        with guarded(f"storing {printable(artefact.what)}", target):
            make_private(target.parent)
        self._append(line, lambda: sink.path.replace(target))
        with self._lock:
            self._directories.update(parent for parent in target.parents if parent.is_relative_to(self._data))
        return line

    def _free(self, path: str) -> str:
        names = itertools.chain([f"{path}{INCOMPLETE}"], (f"{path}.{n}{INCOMPLETE}" for n in itertools.count(2)))
        return next(name for name in names if name not in self._stored)

    def _append(self, line: Line, then: Callable[[], object] = lambda: None) -> None:
        with self._lock, guarded("writing the index of the bag", self._partial):
            self._index.append(line)
            then()
            self._remember(line)

    def _remember(self, line: Line) -> None:
        if isinstance(line, GapLine):
            if line.what not in self._whole:
                self._gaps[line.what] = Gap(what=line.what, why=line.why, transient=line.transient)
            return
        self._stored[line.path] = line
        if line.complete:
            self._whole.add(line.what)
            self._gaps.pop(line.what, None)


class _Sink:
    """A temporary file that hashes what it is given, in the same pass."""

    def __init__(self, path: Path, doing: str) -> None:
        self.path, self.size = path, 0
        self.sha256, self.sha512 = hashlib.sha256(), hashlib.sha512()
        self._doing = doing
        self._pending: list[bytes] = []
        self._held = 0
        with guarded(doing, path):
            self._descriptor = create(path)

    def write(self, chunk: bytes) -> None:
        self._pending.append(chunk)
        self._held += len(chunk)
        self.size += len(chunk)
        if self._held >= _BLOCK:
            self._drain()

    def _drain(self) -> None:
        block = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
        self._pending, self._held = [], 0
        self.sha256.update(block)
        self.sha512.update(block)
        with guarded(f"{self._doing} ({size(self.size)} so far)", self.path):
            write_all(self._descriptor, block)

    def finish(self) -> None:
        """All bytes on disk."""
        self._drain()
        with guarded(self._doing, self.path):
            os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def abandon(self) -> None:
        """Make room again: what can't be kept must not fill the disk."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self.path.unlink(missing_ok=True)


def _pull(artefact: Artefact, sink: _Sink) -> IrkitError | None:
    """Everything the source gives into the sink; the source's error, if it had one. Raises the sink's EvidenceError."""
    chunks = None
    try:
        chunks = iter(artefact.open())
        for chunk in chunks:
            sink.write(chunk)
    except EvidenceError:
        raise
    except IrkitError as error:
        return error
    finally:
        if close := getattr(chunks, "close", None):
            close()
    return None


def _clean(text: str) -> str:
    """Text that UTF-8 can carry: JSON of a cluster may hold lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()
