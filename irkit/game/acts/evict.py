from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.game.cast import shown
from irkit.game.view import View
from irkit.model.kube import annotations_of


@dataclass(frozen=True, slots=True)
class Evict:
    """The cluster takes the suspect off its node, as when it runs out of room; not where the pod says that it must not be evicted."""

    kind: ClassVar[str] = "evict"

    def do(self, view: View) -> str:
        pod = view.stage.find(view.cast.suspect)
        if pod is None or annotations_of(pod).get("cluster-autoscaler.kubernetes.io/safe-to-evict") == "false":
            return ""
        view.stage.end(view.cast.suspect)
        return f"{shown(view.cast.suspect)} was evicted"
