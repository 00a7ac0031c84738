"""A scenario as it was written: a world, an attack on it, and what a good response comes to. Not played yet."""

from __future__ import annotations

import hashlib
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from irkit.model.kube import Obj

Stage = Literal["detect", "contain", "evidence", "rotate", "recover"]
STAGES: tuple[str, ...] = get_args(Stage)
"""What a response is timed by."""

Hold: TypeAlias = Literal["end", "always"]
"""``end``: it is reached, and holds when the game ends; ``always``: it holds all the time, and is lost once it was broken."""


class World(msgspec.Struct, frozen=True):
    """``base``: a built-in cluster to begin with. ``suspect``: labels of the pods of which one is under attack; empty: as the base says."""

    base: str = "todo-app"
    manifests: tuple[Obj, ...] = ()  # added, or merged into what is there
    without: tuple[str, ...] = ()  # taken away: "Kind namespace/name"
    vault: dict[str, dict[str, str]] = {}  # properties by entry, below secret/
    suspect: dict[str, str] = {}
    namespace: str = ""
    files: dict[str, str] = {}  # what the players are handed, by name, in ${files}


class Timed(msgspec.Struct, frozen=True):
    """An act of the attack, ``at`` seconds after the alert; again ``every`` so many, where that is not 0."""

    at: float
    act: Any
    every: float = 0.0


class Inject(msgspec.Struct, frozen=True):
    """What somebody says to the responders."""

    at: float
    sender: str
    says: str


class Goal(msgspec.Struct, frozen=True):
    """An end state that can be seen from outside, ``within`` so many seconds after the alert (0: until the end)."""

    id: str
    state: Any
    points: int
    why: str
    stage: Stage | None = None
    hold: Hold = "end"
    within: float = 0.0
    runbook: str = ""  # page.md#step
    better: str = ""  # the command


class Scenario(msgspec.Struct, frozen=True):
    """``best`` and ``naive``: commands, as a responder would type them; ``lasts``: seconds after which the game ends."""

    name: str
    title: str
    difficulty: int
    playbooks: tuple[str, ...]
    world: World
    alert: str
    goals: tuple[Goal, ...]
    attack: tuple[Timed, ...] = ()
    injects: tuple[Inject, ...] = ()
    best: tuple[str, ...] = ()
    naive: tuple[str, ...] = ()
    traps: tuple[str, ...] = ()
    lasts: float = 1800.0
    source: bytes = b""
    path: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of the source, in hex."""
        return hashlib.sha256(self.source).hexdigest()
