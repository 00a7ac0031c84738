"""Keep new pods away from a node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from irkit.model.arguments import Node
from irkit.model.changes import Change, Patch
from irkit.model.edits import Edit, field_value, present
from irkit.model.incident import Incident
from irkit.model.plan import Confirm
from irkit.ports import Observed, exists

_PATH = ("spec", "unschedulable")


@dataclass(frozen=True, slots=True)
class Cordon:
    """End state: ``node`` takes no new pods. What runs there goes on; DaemonSets start theirs all the same. `lift` undoes it.

    A node that somebody else has cordoned stays so when the incident is lifted: irkit undoes only what it did.
    """

    kind: ClassVar[str] = "cordon"
    confirm: ClassVar[Confirm] = "ask"

    node: Node

    def plan(self, incident: Incident, seen: Observed) -> Iterator[Change]:
        node = exists(seen.cluster, self.node)
        if node is not None and field_value(node, _PATH) != present(True):
            yield Patch(ref=self.node, edits=(Edit(_PATH, field_value(node, _PATH), present(True)),), why="it takes no new pods")

    def notes(self, incident: Incident, seen: Observed) -> Iterator[str]:
        node = exists(seen.cluster, self.node)
        if node is None:
            yield f"{self.node} is gone: nothing is left to cordon"
