from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.game.goals.base import Seen
from irkit.game.history import pair
from irkit.game.view import View
from irkit.text import printable


@dataclass(frozen=True, slots=True)
class Serving:
    """A ``service`` (namespace/name) was without a ready endpoint for no more than ``at-most`` seconds, all in all."""

    kind: ClassVar[str] = "serving"

    service: str
    at_most: int = 0

    def look(self, view: View) -> Seen:
        service = pair(self.service)
        down = view.history.outage(service, view.now)
        if not view.history.served(service):
            return Seen(False, printable(f"Service {self.service} served nobody to begin with"))
        if down > self.at_most:
            return Seen(False, printable(f"Service {self.service} had no ready endpoint for {down:.0f} s", 200))
        return Seen(True, printable(f"Service {self.service} serves", 200))
