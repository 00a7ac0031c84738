"""Who said yes to what, and for how long. An approval names intents, not objects' versions; more than that asks again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from irkit.engine.journal import Journal
from irkit.engine.state import State
from irkit.model.changes import Change, digest, digests
from irkit.model.plan import PlannedStep
from irkit.model.record import Approved, Refused
from irkit.ports import Approver, Clock


class Approvals:
    """The approvals of one incident."""

    def __init__(self, state: State, journal: Journal, approver: Approver, clock: Clock, lifetime: float) -> None:
        self._state, self._journal, self._approver, self._clock = state, journal, approver, clock
        self._lifetime = lifetime

    def new(self, steps: Sequence[PlannedStep]) -> list[Change]:
        """The writes of these steps that nobody approved, or too long ago."""
        now = self._clock.now()
        known = {i for a in self._state.approvals if datetime.fromisoformat(a.expires) > now for i in a.intents}
        return [c for s in steps for c in s.writes if not known.issuperset(digests([c]))]

    def record(self, steps: Sequence[PlannedStep], yes: bool) -> bool:
        """Put the answer on record."""
        ids = tuple(s.id for s in steps)
        if not yes:
            self._note(Refused(steps=ids, by=self._approver.name))
            return False
        changes = [c for s in steps for c in s.changes]
        expires = self._clock.now() + timedelta(seconds=self._lifetime)
        self._note(Approved(steps=ids, digest=digest(changes), intents=digests(changes), by=self._approver.name, expires=expires.isoformat()))
        return True

    def _note(self, body: Approved | Refused) -> None:
        for line in self._journal.append(body):
            self._state.add(line)

    def ask(self, question: str, steps: Sequence[PlannedStep]) -> bool:
        """Ask, unless every write is approved already. Raises Declined where nobody can be asked."""
        if not self.new(steps):
            return True
        return self.record(steps, self._approver.confirm(question, [c for s in steps for c in s.writes]))
