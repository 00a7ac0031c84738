from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.game.goals.base import Seen
from irkit.game.view import View
from irkit.text import printable


@dataclass(frozen=True, slots=True)
class Issued:
    """A ``key`` (namespace/secret/key) holds exactly the ``value`` that its vendor issued; the vendor takes nothing else."""

    kind: ClassVar[str] = "issued"

    key: str
    value: str

    def look(self, view: View) -> Seen:
        now = view.holds(self.key)
        if now == self.value.encode():
            return Seen(True, printable(f"{self.key} holds the new key of its vendor"))
        what = "the stolen key" if now == view.before(self.key) else "something that the vendor never issued, so that nothing works with it"
        return Seen(False, printable(f"{self.key} holds {what}", 200))
