"""A game at one moment, as its players and their audience see it. All texts are printable already."""

from __future__ import annotations

from typing import Literal

from irkit.model.kube import Value


class PodSeen(Value, frozen=True):
    """``part``: what it is in this game; ``state`` as `kubectl get pods` would have it."""

    namespace: str
    name: str
    part: Literal["suspect", "sibling", "other"]
    state: str
    ready: bool


class PolicySeen(Value, frozen=True):
    """A policy that selects the suspect; ``lets``: what it lets through, in a few words."""

    name: str
    lets: str
    opens: bool


class Stake(Value, frozen=True):
    """A goal. ``state``: ``open``, ``late`` (open, and its time is over), ``reached``, ``kept`` (so far), ``broken``; ``at`` and ``within``
    are seconds after the alert: when it came to that, and its deadline (0: the end of the game)."""

    id: str
    state: Literal["open", "late", "reached", "kept", "broken"]
    why: str
    at: float | None = None
    within: float = 0.0
    points: int = 0


class Said(Value, frozen=True):
    """``at``: seconds after the alert."""

    at: float
    kind: str
    text: str


class Role(Value, frozen=True):
    """``who``: empty where nobody has it."""

    name: str
    who: str


class Picture(Value, frozen=True, omit_defaults=False):
    """``seconds`` after the alert, of ``lasts``; ``over``: why the game ended, empty while it goes on."""

    title: str
    seconds: float = 0.0
    lasts: float = 0.0
    alert: str = ""
    pods: tuple[PodSeen, ...] = ()
    policies: tuple[PolicySeen, ...] = ()
    leaks: tuple[str, ...] = ()
    stakes: tuple[Stake, ...] = ()
    said: tuple[Said, ...] = ()
    roles: tuple[Role, ...] = ()
    over: str = ""


def minutes(seconds: float) -> str:
    """Minutes and seconds: ``02:30``."""
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"
