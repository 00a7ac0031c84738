from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.game.goals.base import Seen
from irkit.game.view import View
from irkit.model.kube import NODES, ObjectRef, at
from irkit.text import printable


@dataclass(frozen=True, slots=True)
class Cordoned:
    """The node that the suspect was on takes no new pods."""

    kind: ClassVar[str] = "cordoned"

    def look(self, view: View) -> Seen:
        name = view.cast.node
        node = view.stage.find(ObjectRef(resource=NODES, name=name))
        closed = node is None or bool(at(node, ("spec", "unschedulable"), False))
        return Seen(closed, printable(f"Node {name} takes no new pods" if closed else f"Node {name} still takes new pods"))
