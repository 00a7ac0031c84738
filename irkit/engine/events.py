"""What a run tells while it goes on. The CLI renders these; nothing decides on them."""

from __future__ import annotations

from dataclasses import dataclass

from irkit.checks.base import CheckResult
from irkit.engine.header import Header
from irkit.model.changes import Change
from irkit.model.evidence import Gap, SealedBag
from irkit.model.incident import Incident
from irkit.model.outcome import Outcome
from irkit.model.plan import Plan


@dataclass(frozen=True, slots=True)
class StepBegan:
    id: str
    step: str


@dataclass(frozen=True, slots=True)
class ChangeEnded:
    """A change has its outcome; it is on disk before the next write, or with the end of the step."""

    step: str
    change: Change
    outcome: Outcome
    at: str  # RFC 3339 with milliseconds


@dataclass(frozen=True, slots=True)
class StepEndedEvent:
    id: str
    step: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Judged:
    result: CheckResult
    at: str


@dataclass(frozen=True, slots=True)
class Collecting:
    """Progress of a collection: pieces and bytes so far."""

    pods: int
    of: int
    artefacts: int
    octets: int


@dataclass(frozen=True, slots=True)
class Collected:
    pods: int
    artefacts: int
    octets: int
    seconds: float
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True)
class BagSealed:
    bag: SealedBag


@dataclass(frozen=True, slots=True)
class Said:
    """A line for people: a warning, a delay, something that was found."""

    text: str
    level: str = "info"  # info | warning


@dataclass(frozen=True, slots=True)
class Planned:
    """Before the question: where we are, what is there, what will be done."""

    header: Header
    plan: Plan
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Joined:
    """There is an open incident on this target: the run goes on with it."""

    incident: Incident
