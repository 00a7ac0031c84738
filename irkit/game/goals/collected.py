from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from irkit.game.cast import shown
from irkit.game.goals.base import Seen
from irkit.game.view import View


@dataclass(frozen=True, slots=True)
class Collected:
    """All that ends with a pod was read, whole, while it was there: its log, the one before its last restart, its events."""

    kind: ClassVar[str] = "collected"

    pods: Literal["suspect", "siblings", "all", "node"] = "all"

    def look(self, view: View) -> Seen:
        missing = []
        for pod in view.cast.pods(self.pods):
            gone = view.gone.get(pod.uid)
            if not (gone.read if gone else view.read(pod)):
                missing.append(f"{shown(pod)} ({'ended' if gone else 'not read'})")
        return Seen(not missing, f"without its evidence: {', '.join(missing[:4])}" if missing else "logs and events of every pod were read")
