"""What became of a change or a step. A value, never an exception: the run goes on and says so."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec


class _Outcome(msgspec.Struct, frozen=True, tag_field="outcome", forbid_unknown_fields=True):
    pass


class Done(_Outcome, frozen=True, tag="done"):
    """It was done. ``detail`` is for people; ``data`` for later (the uid of a created object, a verdict)."""

    detail: str = ""
    data: dict[str, Any] = {}


class Unchanged(_Outcome, frozen=True, tag="unchanged"):
    why: str


class Skipped(_Outcome, frozen=True, tag="skipped"):
    why: str


class Declined(_Outcome, frozen=True, tag="declined"):
    by: str
    why: str = ""


class Failed(_Outcome, frozen=True, tag="failed"):
    error: str
    exit_code: int = 1
    next: str = ""


Outcome: TypeAlias = Done | Unchanged | Skipped | Declined | Failed


def word(outcome: Outcome) -> str:
    """The outcome as one word, as in ``RunResult``."""
    return type(outcome).__name__.lower()


def reason(outcome: Outcome) -> str:
    """Why it came to this, for people; may be empty."""
    match outcome:
        case Done():
            return outcome.detail
        case Unchanged() | Skipped():
            return outcome.why
        case Declined():
            return f"declined by {outcome.by}" + (f": {outcome.why}" if outcome.why else "")
        case Failed():
            return outcome.error
