"""What was made on real clusters, written down before it is made: ``$IRKIT_HOME/games/staging.jsonl``, one JSON line a fact."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from irkit.engine.holder import LocalLock
from irkit.errors import HeldError, RefusedError
from irkit.model.kube import Obj, at, labels_of
from irkit.model.managers import managers_of
from irkit.text import printable

LABEL = "irkit.dev/game"
PREFIX = "irkit-game-"
MANAGER = "irkit"
_FORM = re.compile(r"[0-9]{8}t[0-9]{6}z-([a-z2-9]{6})")
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A game's namespace, and where. ``cluster``: the uid of its kube-system; ``uid``: the namespace's, once that is known."""

    id: str
    namespace: str
    context: str
    server: str
    cluster: str
    kubeconfig: str = ""
    uid: str = ""
    began: str = ""


class _Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    event: Literal["begun", "made", "removed"]
    at: str
    made: Made


def new_id(now: datetime) -> str:
    return f"{now:%Y%m%dt%H%M%Sz}-{''.join(secrets.choice(_LETTERS) for _ in range(6))}"


def namespace_of(identifier: str) -> str:
    """The name that goes with an id; empty for what is no id of ours."""
    found = _FORM.fullmatch(identifier)
    return PREFIX + found[1] if found else ""


class Ledger:
    def __init__(self, home: Path) -> None:
        self._directory, self._path, self._locks = home / "games", home / "games" / "staging.jsonl", home / "locks"

    def write(self, event: Literal["begun", "made", "removed"], made: Made, now: datetime) -> None:
        """On disk when it returns. Raises RefusedError where the disk does not take it."""
        line = msgspec.json.encode(_Line(event=event, at=now.isoformat(timespec="seconds"), made=made)) + b"\n"
        try:
            self._directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if os.fstat(descriptor).st_size and not self._ends_whole():
                    line = b"\n" + line  # what was torn in two stays a line of its own
                os.write(descriptor, line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise RefusedError(f"{printable(self._path)} can't be written: {error.strerror}; nothing was made",
                               next="set IRKIT_HOME to a directory that can be written") from None  # fmt: skip

    def open(self) -> list[Made]:
        """What was begun and is not known to be gone, oldest first. Lines that are none of ours are passed over."""
        found: dict[str, Made] = {}
        try:
            lines = self._path.read_bytes().splitlines()
        except OSError:
            return []
        for line in lines:
            try:
                fact = msgspec.json.decode(line, type=_Line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            if namespace_of(fact.made.id) != fact.made.namespace:
                continue
            if fact.event == "removed":
                found.pop(fact.made.id, None)
            else:
                found[fact.made.id] = fact.made
        return list(found.values())

    def lock(self, identifier: str) -> LocalLock:
        """Held while its game goes on; it dies with its process. Raises HeldError."""
        return LocalLock(self._locks, f"game {identifier}", f"process {os.getpid()}", f"game {identifier}")

    def played(self, identifier: str) -> bool:
        """Whether a process of this machine plays it now."""
        try:
            self.lock(identifier).release()
        except HeldError:
            return True
        return False

    def _ends_whole(self) -> bool:
        with self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"


def ours(found: Obj, recorded: Mapping[str, Made]) -> str:
    """Why a namespace is a game's: ``recorded`` on this machine, ``made`` by irkit elsewhere; empty: it is somebody else's.

    ``recorded`` by name. A label alone proves nothing: who may label a namespace is not who may have it deleted.
    """
    name, label = str(at(found, ("metadata", "name"), "")), labels_of(found).get(LABEL, "")
    if namespace_of(label) != name:
        return ""
    entry = recorded.get(name)
    if entry is not None:
        return "recorded" if entry.id == label and entry.uid in ("", at(found, ("metadata", "uid"), "")) else ""
    by = managers_of(found, ("metadata", "labels", LABEL))
    return "made" if by and all(m.name == MANAGER for m in by) else ""
