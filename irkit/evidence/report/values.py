"""What a post-mortem says, as values. Text is raw, and may be the attacker's: the renderings make it harmless."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tone = Literal["", "good", "warn", "bad"]  # repeats by colour what the words say
Lane = Literal["cluster", "irkit", "people"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One moment. ``at`` is RFC 3339 as written; those of lane ``cluster`` are by the cluster's clocks. ``source``: a file of a bag."""

    at: str
    lane: Lane
    text: str
    source: str = ""
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Milestone:
    at: str
    name: str  # at most 16 characters


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that matters, what it is, and what to know about it."""

    value: str
    name: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Act:
    at: str
    by: str
    what: str
    outcome: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Reached:
    """A credential that must be considered stolen; ``reasons`` say why, ``shared`` who else uses it."""

    name: str
    cls: str
    source: str = ""
    age: str = ""
    reasons: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    fate: str = ""  # rotated | manual | …; empty: nothing was done with it
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Rotated:
    name: str
    cls: str
    outcome: str
    old: str
    how: str
    consumers: str
    left: str = ""
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Bag:
    path: str
    what: str
    state: str
    sha256: str  # of tagmanifest-sha256.txt, which binds everything else
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Task:
    """Something to do after the incident. ``owner`` is a role, and a contact of the settings who has it."""

    what: str
    owner: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    incident: str
    title: str
    status: str
    severity: str
    drafted: str  # RFC 3339
    tool: str
    figures: tuple[Figure, ...]
    facts: tuple[tuple[str, str], ...]
    summary: tuple[str, ...]
    left: tuple[str, ...]
    milestones: tuple[Milestone, ...]
    entries: tuple[Entry, ...]
    omitted: int  # moments of the cluster that are in the bags and not here
    skew: str
    impact: tuple[str, ...]
    acts: tuple[Act, ...]
    target: str
    reached: tuple[Reached, ...]
    reach_known: bool  # whether a bag holds a blast radius
    rotated: tuple[Rotated, ...]
    bags: tuple[Bag, ...]
    gaps: tuple[tuple[str, str], ...]
    causes: tuple[str, ...]  # questions to answer
    answers: tuple[tuple[str, str], ...]  # what people found out while the incident ran: the step that asked, who and what
    lessons: tuple[tuple[str, tuple[str, ...]], ...]  # heading, what the record says to it
    tasks: tuple[Task, ...]
