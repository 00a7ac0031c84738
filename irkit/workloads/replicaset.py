"""ReplicaSets that no Deployment owns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from irkit.errors import UsageError
from irkit.model.changes import Change
from irkit.model.kube import DEPLOYMENTS, REPLICASETS, Resource, controller_of
from irkit.text import printable
from irkit.workloads.scaled import Scaled


class ReplicaSet(Scaled, frozen=True):
    resource: ClassVar[Resource] = REPLICASETS

    def stop(self) -> Iterator[Change]:
        owner = controller_of(self.object) or {}
        if owner.get("kind") == DEPLOYMENTS.kind:
            name = printable(owner.get("name"))
            raise UsageError(f"{self.ref} belongs to Deployment {name}, which would scale it back", next=f"stop Deployment {name} instead")
        yield from super().stop()
