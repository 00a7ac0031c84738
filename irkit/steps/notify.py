"""Tell people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from irkit.model import changes
from irkit.model.incident import Incident
from irkit.model.plan import Confirm
from irkit.ports import Observed
from irkit.settings.notify import mailable, meant
from irkit.text import nearest, printable


@dataclass(frozen=True, slots=True)
class Notify:
    """End state: ``to`` (without it: the contacts of the settings) have been told ``message``, once an incident.

    ``to`` are roles, names or mail addresses. Each is told alone: who could not be told stops nothing, and is told when
    the incident is resumed.
    """

    kind: ClassVar[str] = "notify"
    confirm: ClassVar[Confirm] = "never"

    message: str
    to: tuple[str, ...] = ()

    def plan(self, incident: Incident, seen: Observed) -> Iterator[changes.Change]:
        for label, _ in meant(self.to, seen.settings.contacts):
            change = changes.Notify(to=(label,), message=self.message, step=seen.step)
            if change.mark not in seen.marks:
                yield change

    def notes(self, incident: Incident, seen: Observed) -> Iterator[str]:
        contacts = seen.settings.contacts
        for word, contact in meant(self.to, contacts) if contacts else ():
            if contact is None and not mailable(word):
                near = nearest(word, [name for c in contacts for name in (c.name, *c.roles)])
                hint = f"; did you mean {printable(near[0], 80)}?" if near else ""
                yield f"no contact of the settings has the role or name {printable(word, 80)}{hint}: nobody is told"
