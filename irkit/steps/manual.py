"""Have a human do something that irkit can't."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from irkit.model import changes
from irkit.model.incident import Incident
from irkit.model.plan import Confirm
from irkit.ports import Observed


@dataclass(frozen=True, slots=True)
class Manual:
    """End state: a human says that ``instruction`` is done; the answer is on record."""

    kind: ClassVar[str] = "manual"
    confirm: ClassVar[Confirm] = "never"  # the step is a question itself

    instruction: str

    def plan(self, incident: Incident, seen: Observed) -> Iterator[changes.Change]:
        change = changes.Ask(instruction=self.instruction, step=seen.step)
        if change.mark not in seen.marks:
            yield change

    def notes(self, incident: Incident, seen: Observed) -> Iterator[str]:
        return iter(())
