from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.game.cast import named, owner_of
from irkit.game.goals.base import Seen
from irkit.game.view import View
from irkit.model.kube import PODS, at
from irkit.text import plural, printable


@dataclass(frozen=True, slots=True)
class Inert:
    """A ``workload`` (Kind namespace/name) of the attacker's came, and has no pod of its own any more; it never came where its way in was closed."""

    kind: ClassVar[str] = "inert"

    workload: str

    def look(self, view: View) -> Seen:
        try:
            ref = named(self.workload, view.stage.kinds())
        except KeyError:
            return Seen(False, printable(f"{self.workload} is of no kind that is served", 200))
        tried = [a for a in view.attempts if a.what.startswith("POST ")]
        if view.stage.find(ref) is None and not tried:
            return Seen(False, "the attacker has not tried it yet")
        pods = [p for p in view.stage.objects(PODS, ref.namespace) if not at(p, ("metadata", "deletionTimestamp"))]
        mine = [p for p in pods if (owner := owner_of(p, view.stage)) and (owner.kind, owner.name) == (ref.kind, ref.name)]
        if mine:
            return Seen(False, printable(f"{plural(len(mine), 'pod')} of {self.workload} {'runs' if len(mine) == 1 else 'run'}", 200))
        return Seen(True, printable(f"{self.workload} runs nowhere"))
