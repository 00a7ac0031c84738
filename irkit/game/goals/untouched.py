from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.game.goals.base import Seen
from irkit.game.view import View, acting
from irkit.text import printable


@dataclass(frozen=True, slots=True)
class Untouched:
    """No player wrote anything in these namespaces."""

    kind: ClassVar[str] = "untouched"

    namespaces: tuple[str, ...]

    def look(self, view: View) -> Seen:
        for event in acting(view.players):
            about = event.get("objectRef") or {}
            if about.get("namespace") in self.namespaces and event["responseStatus"]["code"] < 300:
                return Seen(False, printable(f"{event['verb']} {about.get('resource')} {about.get('namespace')}/{about.get('name', '')}", 200))
        return Seen(True, "nothing was written there")
