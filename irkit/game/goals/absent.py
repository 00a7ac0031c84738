from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from irkit.game.goals.base import Seen
from irkit.game.view import View
from irkit.model.kube import at, labels_of, selects
from irkit.text import printable


@dataclass(frozen=True, slots=True)
class Absent:
    """Nothing of ``of`` (a kind) with that ``name``, or those ``labels``, is there: what the attacker left behind. A kept suspect does not count."""

    kind: ClassVar[str] = "absent"

    of: str
    namespace: str = ""
    name: str = ""
    labels: dict[str, str] = field(default_factory=dict)

    def look(self, view: View) -> Seen:
        resource = view.stage.kinds().get(self.of)
        found = [] if resource is None else [o for o in view.stage.objects(resource, self.namespace or None) if self._means(o, view)]
        if found:
            return Seen(False, printable(f"{self.of} {at(found[0], ('metadata', 'namespace'), '')}/{found[0]['metadata']['name']} is still there"))
        return Seen(True, printable(f"no {self.of} of the attacker's is left"))

    def _means(self, obj: dict[str, object], view: View) -> bool:
        if at(obj, ("metadata", "deletionTimestamp")) or at(obj, ("metadata", "uid")) == view.cast.suspect.uid:
            return False
        return self.name in ("", at(obj, ("metadata", "name"))) and selects({"matchLabels": self.labels}, labels_of(obj))
