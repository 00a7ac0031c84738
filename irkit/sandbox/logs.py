"""What the simulated containers wrote, and the questions that a kubelet answers about it (`pkg/kubelet/kuberuntime/logs`)."""

from __future__ import annotations

import functools
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

from irkit.sandbox.clock import UTC

BEAT = 0.5
"""Seconds after which who follows a log in which nothing happens looks around."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Line(NamedTuple):
    """One line as the runtime kept it: nanoseconds since 1970, and the bytes without the newline."""

    time: int
    text: bytes


Run = Callable[[], Iterable[Line]]
"""The log of one run of a container, made anew at each reading, so that a huge one needs no memory."""


class Query(NamedTuple):
    """The parameters of `pods/log`. ``since`` in nanoseconds since 1970."""

    timestamps: bool = False
    tail: int | None = None
    since: int | None = None
    limit: int | None = None


class Kept:
    """One run: what was there at first, and what came later. ``over``: the container has ended, or started again."""

    def __init__(self, run: Run) -> None:
        self._run, self._first = run, -1
        self.later: list[Line] = []
        self.over = False

    def __call__(self) -> Iterator[Line]:
        count = 0
        for line in self._run():
            count += 1
            yield line
        self._first = count
        yield from self.later[:]

    def after(self, count: int) -> Iterator[Line]:
        """All but the first ``count`` lines, without making those anew where it can be helped."""
        known = 0 <= self._first <= count
        return iter(self.later[count - self._first :]) if known else itertools.islice(self(), count, None)


class Logs:
    """Logs by pod uid and container name, the newest run last. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._version = 0
        self._runs: dict[tuple[str, str], list[Kept]] = {}

    def begin(self, uid: str, container: str, run: Run) -> None:
        """The container starts (again): ``run`` is its current log, the one before its previous, older ones are gone."""
        with self._changing():
            runs = self._runs.setdefault((uid, container), [])
            for before in runs:
                before.over = True
            runs[:] = [*runs[-1:], Kept(run)]

    def append(self, uid: str, container: str, *lines: Line) -> None:
        """The container writes more, and who follows its log sees it."""
        with self._changing():
            runs = self._runs.setdefault((uid, container), [])
            if not runs:
                runs.append(Kept(fixed([])))
            runs[-1].later.extend(lines)

    def rewrite(self, uid: str, container: str, run: Run, *, previous: bool = False) -> None:
        """Replace what a run wrote; with ``previous``, the container gets a run before its current one."""
        with self._changing():
            runs = self._runs.setdefault((uid, container), [])
            current = runs[-1:] or [Kept(fixed([]))]
            new = Kept(run)
            new.over = previous
            runs[:] = [new, *current] if previous else [*runs[:-1], new]

    def find(self, uid: str, container: str, *, previous: bool = False) -> Kept | None:
        with self._changed:
            runs = self._runs.get((uid, container), [])
            wanted = runs[-2:-1] if previous else runs[-1:]
        return wanted[0] if wanted else None

    def follow(self, uid: str, container: str, kept: Kept, query: Query, ended: Callable[[], bool]) -> Iterator[bytes]:
        """As `answer`, and then each line as it comes, until the run is over or the container has ``ended``.

        An empty item now and then means that nothing came, so that who reads can look whether anybody is there still.
        """
        return _cut(self._follow(uid, container, kept, query, ended), query.limit)

    def _follow(self, uid: str, container: str, kept: Kept, query: Query, ended: Callable[[], bool]) -> Iterator[bytes]:
        counter = itertools.count()
        yield from (_shown(line, query) for line in _chosen((line for line, _ in zip(kept(), counter)), query))  # noqa: B905 - it counts
        sent, seen = next(counter), -1
        while True:
            if (now := self._wait(seen)) == seen:
                yield b""
            seen, over = now, kept.over or ended()
            kept = kept if kept.over else self.find(uid, container) or kept  # somebody may have rewritten it
            for line in kept.after(sent):
                sent += 1
                yield _shown(line, query)
            if over:
                return

    def _wait(self, seen: int) -> int:
        """The version once it is another than ``seen``, or a while later."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != seen, BEAT)
            return self._version

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._changed:
            yield
            self._version += 1
            self._changed.notify_all()

    def all(self) -> list[tuple[str, str, list[Run]]]:
        """Uid, container and runs, in order."""
        with self._changed:
            return [(uid, container, list(runs)) for (uid, container), runs in sorted(self._runs.items())]


def fixed(lines: Iterable[Line]) -> Run:
    kept = list(lines)
    return lambda: kept


def nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def written(moment: datetime, *texts: bytes, step: float = 0.01) -> list[Line]:
    """Lines that were written one after the other from ``moment`` on, ``step`` seconds apart."""
    start, apart = nanoseconds(moment), int(step * 1e9)
    return [Line(start + n * apart, text) for n, text in enumerate(texts)]


def answer(run: Run, query: Query) -> Iterator[bytes]:
    """The bytes that the kubelet sends: one item a line, but for the cut at ``limit``."""
    return _cut((_shown(line, query) for line in _chosen(run(), query)), query.limit)


def _chosen(lines: Iterable[Line], query: Query) -> Iterable[Line]:
    since = query.since
    if since is not None:
        lines = (line for line in lines if line.time >= since)
    return lines if query.tail is None else deque(lines, maxlen=query.tail)


def _shown(line: Line, query: Query) -> bytes:
    return (_stamp(line.time) + b" " if query.timestamps else b"") + line.text + b"\n"


def _cut(parts: Iterator[bytes], limit: int | None) -> Iterator[bytes]:
    if limit is None:
        yield from parts
        return
    for part in parts:
        yield part[:limit]
        limit -= len(part)
        if limit <= 0:
            return


def _stamp(time: int) -> bytes:
    seconds, nanos = divmod(time, 1_000_000_000)
    return b"%b.%09dZ" % (_second(seconds), nanos)


@functools.lru_cache(maxsize=64)  # logs are in order of time: the next line is mostly of the same second
def _second(seconds: int) -> bytes:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S").encode()
