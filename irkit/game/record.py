"""A game kept in a file: what it began with, then every request of its players in order, then how it ended.

JSON lines, mode 0600: values that players wrote to Secrets and to the Vault are in it. The last line has the SHA-256 of all
before it. Until there is one, the file is a hidden one; of a game that is broken off nothing stays, of one that is killed until the next.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

import irkit
from irkit.errors import UsageError
from irkit.model.kube import Value
from irkit.model.scenario import Scenario
from irkit.stage import Asked, Origin, Repeatable, Turns
from irkit.text import printable

LIMIT = 256 * 1024 * 1024
"""Bytes of the largest file that is read."""
LONGEST = 2 * 24 * 3600 * 1000
"""Milliseconds after the alert in which all of a game happens: no scenario lasts longer than a day, and somebody may have stopped the process."""
KIND = "Game"
PART = ".part"
"""How a hidden file ends in which a game is written down until it is over."""


class Head(Value, frozen=True):
    """``scenario`` is its source, ``file`` where that was read from; ``began`` the time of the alert; ``version`` irkit's."""

    kind: str
    scenario: str
    file: str
    seed: int
    player: str
    began: datetime
    cluster: str
    version: str
    origin: Origin


class End(Value, frozen=True):
    """``at`` in milliseconds after the alert; ``world`` is the digest of all there was then; ``sum`` of the lines before."""

    at: int
    score: int
    world: str
    sum: str


class Game(NamedTuple):
    head: Head
    asked: tuple[Asked, ...]
    end: End


class Recording:
    """Writes down a game as it is played. A disk that takes no more of it does not disturb the game: it is not kept then."""

    def __init__(self, path: Path, head: Head, stage: Repeatable) -> None:
        self._path, self._stage, self._sum = path, stage, hashlib.sha256()
        self._part = path.with_name(f".{path.name}{PART}")
        self.whole = self._lost = False
        there = f"{printable(path, 1000)} is there already; a game is kept in a file of its own"
        if path.exists():
            raise UsageError(there)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sweep(path.parent)
            self._file = _opened(self._part)
        except BlockingIOError:
            raise UsageError(there) from None
        except OSError as error:
            raise UsageError(f"the game can't be kept in {printable(path, 1000)}: {error.strerror}") from None
        self._write(head)

    def heard(self, asked: Asked) -> None:
        """After the end, the whole game is on disk when it returns, and nothing more is kept."""
        if self.whole or self._lost:
            return
        try:
            self._heard(asked)
        except OSError:
            self._lost = True

    def _heard(self, asked: Asked) -> None:
        if asked.server != "end":
            self._write(asked)
            return
        self._write(End(at=asked.at, score=asked.code, world=self._stage.digest(), sum=self._sum.hexdigest()))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._part.rename(self._path)
        self.whole = True

    def close(self) -> None:
        """What was broken off is not kept."""
        if not self.whole:
            self._part.unlink(missing_ok=True)
        with suppress(OSError):
            self._file.close()

    def _write(self, line: Value) -> None:
        data = msgspec.json.encode(line) + b"\n"
        self._sum.update(data)
        self._file.write(data)


def _opened(part: Path) -> IO[bytes]:
    """Locked, empty, and there. Raises BlockingIOError where another game writes it."""
    while True:
        file = os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT, 0o600), "wb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise
        if os.fstat(file.fileno()).st_nlink:
            file.truncate(0)
            return file
        file.close()  # somebody swept it away before it was locked


def _sweep(folder: Path) -> None:
    """Remove what games left that were killed: nobody holds its lock any more."""
    for part in folder.glob(f".*{PART}"):
        with suppress(OSError), part.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()


@contextmanager
def recording(path: Path | None, scenario: Scenario, seed: int, player: str, stage: Repeatable, turns: Turns) -> Iterator[None]:
    """Keep the game that is played inside in a new file, if there is a path; begin before its world is made. A game without an end is not kept.

    Raises UsageError where the file can't be made or is there.
    """
    if path is None:
        yield
        return
    origin = stage.origin
    head = Head(kind=KIND, scenario=scenario.source.decode(), file=scenario.path, seed=seed, player=player, began=origin.began,
                cluster=origin.cluster, version=irkit.__version__, origin=origin)  # fmt: skip
    made = Recording(path, head, stage)
    turns.heard = made.heard
    try:
        yield
    finally:
        turns.heard = lambda asked: None
        made.close()


def place(home: Path, scenario: Scenario, began: datetime) -> Path:
    """Where a game is kept when nobody says where: a name that sorts by time, another one for each."""
    return home / "games" / f"{began:%Y%m%dT%H%M%SZ}-{scenario.name}-{secrets.token_hex(3)}.jsonl"


def load(path: Path) -> Game:
    """Raises UsageError, in one sentence, for what is no game, or not all of one, or not as it was written."""
    shown = printable(path, 1000)
    try:
        with path.open("rb") as file:
            data = file.read(LIMIT + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{shown} can't be read: {error.strerror if isinstance(error, OSError) else printable(error, 200)}") from None
    if len(data) > LIMIT:
        raise UsageError(f"{shown} is larger than {LIMIT >> 20} MiB: no game is")
    lines = data.split(b"\n")
    try:
        head = msgspec.json.decode(lines[0], type=Head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UsageError(f"{shown} is no game that irkit kept") from None
    try:
        end = msgspec.json.decode(lines[-2] if len(lines) > 2 and not lines[-1] else b"", type=End)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UsageError(f"{shown} was cut short: the end of the game is not in it") from None
    before = data[: len(data) - len(lines[-2]) - 1]
    try:
        asked = tuple(msgspec.json.decode(line, type=Asked) for line in lines[1:-2])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        asked = ()
    if head.kind != KIND or hashlib.sha256(before).hexdigest() != end.sum or len(asked) != len(lines) - 3:
        raise UsageError(f"{shown} was changed after the game: its lines are not those that were written")
    if not _possible(head.origin) or not all(0 <= moment <= LONGEST for moment in (end.at, *(each.at for each in asked))):
        raise UsageError(f"{shown} has times, or a beginning, that no game has")
    return Game(head, asked, end)


def _possible(origin: Origin) -> bool:
    """Whether a world can have begun so: whoever made the file need not have played."""
    return origin.began.tzinfo is not None and 2000 <= origin.began.year < 2200 and bool(re.fullmatch(r"(?:[0-9a-f]{2})+", origin.key))
