from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from irkit.game.view import View
from irkit.model.kube import at
from irkit.text import printable


@dataclass(frozen=True, slots=True)
class Apply:
    """An object appears, or is changed: a miner's pod, a policy, a label that is taken off."""

    kind: ClassVar[str] = "apply"

    object: dict[str, Any]
    seen: str = ""  # what the alerts say of it

    def do(self, view: View) -> str:
        try:
            view.stage.put(self.object)
        except (KeyError, ValueError):
            return ""
        return printable(self.seen.replace("${suspect}", view.cast.suspect.name), 300) or printable(
            f"{self.object.get('kind')} {at(self.object, ('metadata', 'name'), '')} was applied", 200
        )
