from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.game.cast import matching
from irkit.game.goals.base import Seen
from irkit.game.history import pair, restarts
from irkit.game.view import View
from irkit.text import printable


@dataclass(frozen=True, slots=True)
class Steady:
    """No container of the pods with the label ``app`` (namespace/value) crashed since the alert."""

    kind: ClassVar[str] = "steady"

    app: str

    def look(self, view: View) -> Seen:
        for pod in matching(view.stage, pair(self.app)[0], {"app": pair(self.app)[1]}):
            if restarts(pod) > view.history.restarts.get(pod["metadata"]["uid"], 0):
                return Seen(False, printable(f"Pod {pair(self.app)[0]}/{pod['metadata']['name']} crashed", 200))
        return Seen(True, printable(f"the pods of {self.app} run on"))
