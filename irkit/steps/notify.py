"""Tell people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from irkit.model import changes
from irkit.model.incident import Incident
from irkit.model.plan import Confirm
from irkit.ports import Observed


@dataclass(frozen=True, slots=True)
class Notify:
    """End state: ``to`` (without it: the contacts of the settings) have been told ``message``, once an incident."""

    kind: ClassVar[str] = "notify"
    confirm: ClassVar[Confirm] = "never"

    message: str
    to: tuple[str, ...] = ()

    def plan(self, incident: Incident, seen: Observed) -> Iterator[changes.Change]:
        to = self.to or tuple(f"{c.name} <{c.address}>" for c in seen.settings.contacts)
        change = changes.Notify(to=to, message=self.message, step=seen.step)
        if to and change.mark not in seen.marks:
            yield change

    def notes(self, incident: Incident, seen: Observed) -> Iterator[str]:
        return iter(())
