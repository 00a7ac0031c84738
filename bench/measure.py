"""Whole processes, timed in turns (A B A B …), so that what slows the machine down slows both."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Series:
    """Seconds, one a run."""

    seconds: list[float] = field(default_factory=list)

    @property
    def minimum(self) -> float:
        return min(self.seconds)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def in_turns(runs: int, *timed: Callable[[], float]) -> list[Series]:
    """Call each ``runs`` times, one after the other; each says how many seconds it took. One round before is not counted."""
    series = [Series() for _ in timed]
    for number in range(runs + 1):
        for one, kept in zip(timed, series, strict=True):
            seconds = one()
            if number:
                kept.seconds.append(seconds)
    return series


@dataclass(frozen=True)
class Ended:
    """How a process ended: seconds in all, seconds until the awaited line, peak memory in MB.

    The kernel counts this process's memory at the fork into the peak, so what is shown is an upper bound of at least some 30 MB.
    """

    seconds: float
    awaited: float
    peak: float
    code: int


def run(
    command: Sequence[str | Path], environ: Mapping[str, str], *, until: str = "", accept: Sequence[int] = (0,), output: Path | None = None
) -> Ended:
    """Run a command; ``until``: the beginning of a line on stderr whose time counts. Anything but an accepted exit code ends the bench."""
    begun, awaited, said = time.perf_counter(), 0.0, []
    with (output or Path(os.devnull)).open("wb") as out:
        process = subprocess.Popen([str(c) for c in command], env=dict(environ), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE)
    assert process.stderr
    with process.stderr as lines:
        for line in lines:
            said.append(line.decode(errors="replace"))
            if until and not awaited and said[-1].startswith(until):
                awaited = time.perf_counter() - begun
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in accept or (until and not awaited):
        raise SystemExit(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{''.join(said[-20:])}")
    return Ended(seconds, awaited, usage.ru_maxrss / 1000, process.returncode)
