from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.game.cast import owner_of, shown
from irkit.game.goals.base import Seen
from irkit.game.view import View, images_of
from irkit.model.kube import PODS, at, is_ready


@dataclass(frozen=True, slots=True)
class Recovered:
    """The workload serves again: as many pods as before are ready; ``patched``: all with the image without the hole."""

    kind: ClassVar[str] = "recovered"

    patched: bool = True

    def look(self, view: View) -> Seen:
        workload = view.cast.workload
        if workload is None:
            return Seen(False, "a bare pod has no workload that could come back")
        pods = [p for p in view.stage.objects(PODS, workload.namespace)
                if owner_of(p, view.stage) == workload and is_ready(p) and not at(p, ("metadata", "deletionTimestamp"))]  # fmt: skip
        good = [p for p in pods if not self.patched or view.cast.image in images_of(p)]
        wanted = len(view.cast.siblings) + 1
        what = f"{len(good)} of {wanted} pods of {shown(workload)} are ready{' with the patched image' if self.patched else ''}"
        return Seen(len(good) >= wanted, what)
