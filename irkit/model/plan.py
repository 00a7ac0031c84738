"""A plan: the steps of a run and the changes that each still needs."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from irkit.model.changes import Change, digest

Confirm = Literal["never", "ask"]
OnFailure = Literal["stop", "continue"]


class StepSpec(msgspec.Struct, frozen=True):
    """A step as written in a playbook, not yet bound."""

    id: str
    step: str
    phase: str
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)
    confirm: Confirm | None = None  # None: the default of the step kind
    on_failure: OnFailure = "stop"
    timeout: float = 120.0  # seconds
    needs: tuple[str, ...] = ()  # ids of earlier steps without which this one is not done
    line: int = 0
    column: int = 0


class PlannedStep(msgspec.Struct, frozen=True):
    """A step with what it would do now."""

    id: str
    step: str
    phase: str
    changes: tuple[Change, ...]
    confirm: Confirm
    notes: tuple[str, ...] = ()  # what people should know before they say yes
    waiver: str = ""  # why its pods may end without their evidence, as the playbook says
    asks_itself: bool = False  # whether it has a question of its own, right before it

    @property
    def writes(self) -> tuple[Change, ...]:
        return tuple(c for c in self.changes if c.writes)


class Plan(msgspec.Struct, frozen=True):
    steps: tuple[PlannedStep, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        return tuple(c for s in self.steps for c in s.changes)

    @property
    def digest(self) -> str:
        return digest(self.changes)
