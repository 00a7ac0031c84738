from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.game.goals.base import Seen
from irkit.game.view import View
from irkit.text import printable


@dataclass(frozen=True, slots=True)
class Accepted:
    """The database lets a ``role`` in with the new ``password`` that is in namespace/secret/key, so that the application is not locked out."""

    kind: ClassVar[str] = "accepted"

    role: str
    password: str

    def look(self, view: View) -> Seen:
        now = view.holds(self.password)
        if now == view.before(self.password):
            return Seen(False, printable(f"{self.password} holds the old password"))
        if view.stage.accepts(self.role, now.decode("utf-8", "replace")):
            return Seen(True, printable(f"the database takes what {self.password} says"))
        return Seen(False, printable(f"the database does not take what {self.password} says: {self.role} is locked out"))
