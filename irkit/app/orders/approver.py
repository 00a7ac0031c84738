"""The approver of an order: it answers with what was decided on exactly this plan, and with nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from irkit.errors import Declined
from irkit.model.changes import Change, digests
from irkit.model.order import Held
from irkit.ports import Clock
from irkit.text import printable


class ByOrder:
    """``unplanned`` tells afterwards whether a question came that the decisions do not answer."""

    interactive = False

    def __init__(self, held: Held, clock: Clock) -> None:
        self._held, self._clock = held, clock
        self.unplanned = False
        planned, counting, asked = held.status.planned, held.status.approvals, held.order.origin.label
        self._approved = frozenset(planned.intents) if planned is not None and counting else frozenset[str]()
        self.name = f"{counting[-1].by.label}, asked for by {asked}" if counting else asked

    def confirm(self, question: str, changes: Sequence[Change] = ()) -> bool:
        asked = digests(changes)
        if self._clock.now() >= datetime.fromisoformat(self._held.order.expires):
            self.unplanned = True
            raise Declined(f"{printable(question)} The approval of order {self._held.order.id} has expired")
        if asked and self._approved.issuperset(asked):
            return True
        self.unplanned = True
        raise Declined(f"{printable(question)} That is more than order {self._held.order.id} was approved for")

    def answer(self, instruction: str) -> str | None:
        raise Declined("this needs a person at a terminal", next="irkit resume, at a terminal")

    def secret(self, name: str, prompt: str) -> str | None:
        raise Declined(f"{printable(name)} needs a value from its issuer: no chat is asked for one", next="irkit resume, at a terminal")
