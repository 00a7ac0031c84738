"""Games that were played on this machine: one line a game, so that it is seen whether somebody gets better.

Nothing is ever rewritten: a game is appended in one write, under a lock, and a line that can't be read is said and skipped.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Annotated, NamedTuple

import msgspec

from irkit.errors import UsageError
from irkit.game.card import SOLVED, Scorecard
from irkit.text import printable

FILE = Path("games") / "history.jsonl"
LIMIT = 64 * 1024 * 1024
"""Bytes of history that are read: the newest."""
RECENT = 3
"""A trend compares at most so many of the newest games with as many before them."""


class Played(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One game. ``when``: of its end; ``times`` in seconds after the alert; ``digest`` of the scenario's source; ``file``: where it is kept."""

    when: datetime
    player: str
    team: str = ""
    scenario: str
    digest: str = ""
    seed: int
    score: Annotated[int, msgspec.Meta(ge=0, le=100)]
    times: dict[str, float | None] = {}
    lasted: float = 0.0
    mode: str = ""
    file: str = ""

    @property
    def players(self) -> tuple[str, ...]:
        """All of a team; a player alone."""
        return tuple(self.player.split(", ")) if self.team else (self.player,)


class Damaged(NamedTuple):
    """A line of the history that is none."""

    line: int
    why: str


class Trend(msgspec.Struct, frozen=True):
    """Means of the newest ``games`` and of as many before them; of the times, where there is one in both."""

    games: int
    score: tuple[float, float]
    times: dict[str, tuple[float, float]]


def entry(card: Scorecard, when: datetime, digest: str = "", mode: str = "", file: Path | None = None) -> Played:
    return Played(when=when, player=card.player, team=card.team, scenario=card.scenario, digest=digest, seed=card.seed, score=card.score,
                  times=card.times, lasted=card.lasted, mode=mode, file=str(file or ""))  # fmt: skip


def append(home: Path, played: Played) -> None:
    """Add a game, on disk when it returns. Raises UsageError where that can't be."""
    path = home / FILE
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size = os.fstat(descriptor).st_size
            torn = size and os.pread(descriptor, 1, size - 1) != b"\n"  # somebody was killed in the middle of a line
            os.write(descriptor, (b"\n" if torn else b"") + msgspec.json.encode(played) + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UsageError(f"the game can't be added to {printable(path, 1000)}: {error.strerror}") from None


def read(home: Path) -> tuple[list[Played], list[Damaged]]:
    """All games, oldest first, and the lines that are none. Raises UsageError where the file can't be read."""
    path = home / FILE
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - LIMIT))
            lines = file.read(LIMIT).split(b"\n")
    except FileNotFoundError:
        return [], []
    except OSError as error:
        raise UsageError(f"{printable(path, 1000)} can't be read: {error.strerror}") from None
    if size > LIMIT:
        lines[0] = b""  # the rest of a line that began before
    played: list[Played] = []
    damaged: list[Damaged] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = msgspec.json.decode(line, type=Played)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            damaged.append(Damaged(number, printable(error, 120)))
            continue
        if found.when.tzinfo is None:
            damaged.append(Damaged(number, "its time has no zone"))
        else:
            played.append(found)
    return sorted(played, key=lambda each: each.when), damaged


def mastered(home: Path, player: str) -> set[str]:
    """The scenarios that a player has once played with `SOLVED` points or more. Raises UsageError where the file can't be read."""
    return set(solved([each for each in read(home)[0] if player in each.players]))


def solved(games: Iterable[Played]) -> list[str]:
    """The scenarios of these games that were mastered in one of them."""
    return sorted({each.scenario for each in games if each.score >= SOLVED})


def trend(games: Sequence[Played]) -> Trend | None:
    """How the newest games compare with those before; None of fewer than two."""
    count = min(RECENT, len(games) // 2)
    if not count:
        return None
    before, newest = games[-2 * count : -count], games[-count:]
    times = {}
    for name in newest[-1].times:
        pair = [_mean(each.times.get(name) for each in some) for some in (before, newest)]
        if pair[0] is not None and pair[1] is not None:
            times[name] = (pair[0], pair[1])
    return Trend(count, (round(fmean(g.score for g in before), 1), round(fmean(g.score for g in newest), 1)), times)


def _mean(values: Iterable[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return round(fmean(found), 1) if found else None
