from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.game.goals.base import Seen
from irkit.game.view import View
from irkit.model.kube import PODS, ObjectRef
from irkit.text import plural, printable


@dataclass(frozen=True, slots=True)
class Unharmed:
    """Nobody who had nothing to do with it was hit: every pod of other workloads that was ready lives on."""

    kind: ClassVar[str] = "unharmed"

    namespaces: tuple[str, ...] = ()  # only these; none: all
    restarted: tuple[str, ...] = ()  # "namespace/workload": it had to be restarted, so its pods may be others

    def look(self, view: View) -> Seen:
        ours = {pod.uid for pod in view.cast.pods("all")}
        hit = []
        for (namespace, name), uid in view.ready.items():
            if uid in ours or (self.namespaces and namespace not in self.namespaces):
                continue
            if any(f"{namespace}/{name}".startswith(f"{each}-") for each in self.restarted):
                continue
            if view.stage.find(ObjectRef(resource=PODS, name=name, namespace=namespace, uid=uid)) is None:
                hit.append(f"{namespace}/{name}")
        said = printable(f"{plural(len(hit), 'pod')} of others ended: {', '.join(hit[:4])}", 300)
        return Seen(not hit, said if hit else "nobody else was hit")
