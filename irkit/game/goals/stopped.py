from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.game.cast import owner_of, shown
from irkit.game.goals.base import Seen
from irkit.game.view import View, images_of
from irkit.model.kube import PODS, at
from irkit.text import plural


@dataclass(frozen=True, slots=True)
class Stopped:
    """No pod of the suspect's workload runs any more with what let the attacker in, but the suspect itself."""

    kind: ClassVar[str] = "stopped"

    def look(self, view: View) -> Seen:
        workload = view.cast.workload
        if workload is None:
            return Seen(True, "it was nobody's pod")
        left = [p for p in view.stage.objects(PODS, workload.namespace)
                if owner_of(p, view.stage) == workload and p["metadata"]["uid"] != view.cast.suspect.uid
                and not at(p, ("metadata", "deletionTimestamp")) and view.images & images_of(p)]  # fmt: skip
        if left:
            return Seen(False, f"{plural(len(left), 'pod')} of {shown(workload)} still run{'s' if len(left) == 1 else ''} the image with the hole")
        return Seen(True, f"{shown(workload)} runs nowhere with the hole")
