from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.game.goals.base import Seen
from irkit.game.view import View
from irkit.model.kube import NETWORKPOLICIES
from irkit.network.verdict import judge, line


@dataclass(frozen=True, slots=True)
class Isolated:
    """The suspect can reach nobody and nobody can reach it, by the policies in force; or it is gone."""

    kind: ClassVar[str] = "isolated"

    def look(self, view: View) -> Seen:
        suspect = view.cast.suspect
        pod = view.stage.find(suspect)
        if pod is None:
            return Seen(True, "the pod is gone: it reaches nothing")
        leaks = judge(pod, view.stage.objects(NETWORKPOLICIES, suspect.namespace))
        return Seen(False, f"left open: {line(leaks[0])}") if leaks else Seen(True, "no policy lets anything through")
