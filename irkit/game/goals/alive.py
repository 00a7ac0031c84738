from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.game.cast import shown
from irkit.game.goals.base import Seen
from irkit.game.view import View
from irkit.model.kube import at


@dataclass(frozen=True, slots=True)
class Alive:
    """The suspect is kept for those who examine it: it is there, runs, and was not restarted since the alert."""

    kind: ClassVar[str] = "alive"

    def look(self, view: View) -> Seen:
        suspect = view.cast.suspect
        pod = view.stage.find(suspect)
        if pod is None or at(pod, ("metadata", "deletionTimestamp")):
            return Seen(False, f"{shown(suspect)} was ended, with its memory and its disk")
        restarts = sum(s.get("restartCount", 0) for s in at(pod, ("status", "containerStatuses"), ()))
        if restarts > view.cast.restarts.get(suspect.uid, 0):
            return Seen(False, f"a container of {shown(suspect)} was restarted, and its memory is lost")
        return Seen(True, f"{shown(suspect)} runs")
