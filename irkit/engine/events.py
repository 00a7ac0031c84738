"""What a run tells while it goes on. The CLI renders these; nothing decides on them."""

from __future__ import annotations

import msgspec

from irkit.checks.base import CheckResult
from irkit.engine.header import Header
from irkit.model.changes import Change
from irkit.model.evidence import Gap, SealedBag
from irkit.model.incident import Incident
from irkit.model.outcome import Outcome
from irkit.model.plan import Plan


class StepBegan(msgspec.Struct, frozen=True):
    id: str
    step: str


class ChangeEnded(msgspec.Struct, frozen=True):
    """A change has its outcome; it is on disk before the next write, or with the end of the step."""

    step: str
    change: Change
    outcome: Outcome
    at: str  # RFC 3339 with milliseconds


class StepEndedEvent(msgspec.Struct, frozen=True):
    id: str
    step: str
    outcome: Outcome


class Judged(msgspec.Struct, frozen=True):
    result: CheckResult
    at: str


class Collecting(msgspec.Struct, frozen=True):
    """Progress of a collection: pieces and bytes so far."""

    pods: int
    of: int
    artefacts: int
    octets: int


class Collected(msgspec.Struct, frozen=True):
    pods: int
    artefacts: int
    octets: int
    seconds: float
    gaps: tuple[Gap, ...]


class BagSealed(msgspec.Struct, frozen=True):
    bag: SealedBag


class Said(msgspec.Struct, frozen=True):
    """A line for people: a warning, a delay, something that was found."""

    text: str
    level: str = "info"  # info | warning


class Planned(msgspec.Struct, frozen=True):
    """Before the question: where we are, what is there, what will be done."""

    header: Header
    plan: Plan
    dry_run: bool


class Joined(msgspec.Struct, frozen=True):
    """There is an open incident on this target: the run goes on with it."""

    incident: Incident


class LiftPlanned(msgspec.Struct, frozen=True):
    """Before the question of a lift: what will be brought back."""

    incident: Incident
    plan: Plan


class Over(msgspec.Struct, frozen=True):
    """The run's end is on record: whatever comes now, it is not undone."""

    incident: str
