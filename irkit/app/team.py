"""How players join a game: by files in its directory, which only its owner's user can read and write.

Who joins leaves a question, and the game answers it in its next turn. Both are whole when they are seen.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from irkit.errors import UsageError
from irkit.game.course import Course
from irkit.game.team import Team
from irkit.model.picture import Role
from irkit.text import printable

_LOOK = 0.05  # seconds between two looks
PATIENCE = 10.0
"""Seconds until a game that does not answer is none."""
_LONGEST = 4096


class Question(msgspec.Struct, frozen=True):
    name: str
    role: str = ""


class Answer(msgspec.Struct, frozen=True):
    """``environment`` of the player's terminal; ``refused``: why there is none."""

    environment: dict[str, str] = {}
    roles: tuple[Role, ...] = ()
    refused: str = ""


class Door:
    """The game's side. ``admit`` makes a user of the cluster, and says by which variables he finds it."""

    def __init__(self, home: Path, admit: Callable[[str], Mapping[str, str]]) -> None:
        self.home, self.team, self._admit = home, Team(), admit
        self._known: dict[str, dict[str, str]] = {}
        for folder in (_asked(home), _answered(home)):
            folder.mkdir(mode=0o700, parents=True)

    def answer(self, course: Course) -> Sequence[Role]:
        """Let in who asked since the last time, in a turn; who has which role now."""
        for file in sorted(_asked(self.home).glob("*.json")):
            try:
                with file.open("rb") as opened:
                    question = msgspec.json.decode(opened.read(_LONGEST), type=Question)
            except (OSError, msgspec.DecodeError):
                answer = Answer(refused="that question can't be read")
            else:
                answer = self._let_in(course, question)
            with suppress(OSError):  # who gets no answer hears that the game does not answer; the others play on
                file.unlink(missing_ok=True)
                _write(_answered(self.home) / file.name, answer)
        return self.team.roles

    def _let_in(self, course: Course, question: Question) -> Answer:
        try:
            self.team.join(course, question.name, question.role)
        except ValueError as error:
            return Answer(refused=str(error))
        if question.name not in self._known:
            self._known[question.name] = dict(self._admit(question.name))
        return Answer(environment=self._known[question.name], roles=self.team.roles)


def join(home: Path, name: str, role: str, sleep: Callable[[float], None]) -> Answer:
    """The player's side. Raises UsageError where there is no game, or the game refuses."""
    _check(home)
    file = f"{secrets.token_hex(8)}.json"
    try:
        _write(_asked(home) / file, Question(name=name, role=role))
        answer = _wait(_answered(home) / file, sleep)
    except OSError as error:
        raise UsageError(f"the game in {printable(home)} can't be joined: {error.strerror}", next="irkit rehearse --team") from None
    if answer.refused:
        raise UsageError(answer.refused, next=f"irkit rehearse --join {printable(home)} --as NAME --role ROLE")
    return answer


def _check(home: Path) -> None:
    """What the game answers becomes variables of a shell: whose game it is matters. Raises UsageError."""
    if not _asked(home).is_dir():
        raise UsageError(f"{printable(home)} is not the directory of a game that goes on", next="irkit rehearse --team")
    for folder in (home, _asked(home), _answered(home)):
        found = folder.stat() if folder.is_dir() else None
        if found is None or found.st_uid != os.getuid() or found.st_mode & 0o022:
            raise UsageError(f"{printable(folder)} belongs to somebody else, or others may write in it; a game of yours is yours alone",
                             next="irkit rehearse --team")  # fmt: skip


def _wait(path: Path, sleep: Callable[[float], None]) -> Answer:
    for _ in range(int(PATIENCE / _LOOK)):
        if path.exists():
            try:
                answer = msgspec.json.decode(path.read_bytes(), type=Answer)
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise UsageError("that game does not answer in a way that can be read", next="irkit rehearse --team") from None
            path.unlink()
            return answer
        sleep(_LOOK)
    raise UsageError("that game does not answer; it may have ended", next="irkit rehearse --team")


def _asked(home: Path) -> Path:
    return home / "team" / "asked"


def _answered(home: Path) -> Path:
    return home / "team" / "answered"


def _write(path: Path, value: Question | Answer) -> None:
    """Whole or not at all."""
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_bytes(msgspec.json.encode(value))
    new.replace(path)
