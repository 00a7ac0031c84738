"""What the simulated containers wrote, and the questions that a kubelet answers about it (`pkg/kubelet/kuberuntime/logs`)."""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from irkit.sandbox.clock import UTC

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


class Logs:
    """Logs by pod uid and container name, the newest run last. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: dict[tuple[str, str], list[Run]] = {}

    def begin(self, uid: str, container: str, run: Run) -> None:
        """The container starts (again): ``run`` is its current log, the one before its previous, older ones are gone."""
        with self._lock:
            runs = self._runs.setdefault((uid, container), [])
            runs[:] = [*runs[-1:], run]

    def rewrite(self, uid: str, container: str, run: Run, *, previous: bool = False) -> None:
        """Replace what a run wrote; with ``previous``, the container gets a run before its current one."""
        with self._lock:
            runs = self._runs.setdefault((uid, container), [])
            current = runs[-1:] or [fixed([])]
            runs[:] = [run, *current] if previous else [*runs[:-1], run]

    def find(self, uid: str, container: str, *, previous: bool = False) -> Run | None:
        with self._lock:
            runs = self._runs.get((uid, container), [])
            wanted = runs[-2:-1] if previous else runs[-1:]
        return wanted[0] if wanted else None


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
    lines: Iterable[Line] = run()
    if query.since is not None:
        lines = (line for line in lines if line.time >= (query.since or 0))
    if query.tail is not None:
        lines = deque(lines, maxlen=query.tail)
    left = query.limit
    for line in lines:
        shown = (_stamp(line.time) + b" " if query.timestamps else b"") + line.text + b"\n"
        if left is None:
            yield shown
            continue
        yield shown[:left]
        left -= len(shown)
        if left <= 0:
            return


def _stamp(time: int) -> bytes:
    seconds, nanos = divmod(time, 1_000_000_000)
    return b"%b.%09dZ" % (_second(seconds), nanos)


@functools.lru_cache(maxsize=64)  # logs are in order of time: the next line is mostly of the same second
def _second(seconds: int) -> bytes:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S").encode()
