"""Pods that nobody owns: nothing replaces them, and nothing can be scaled down. They are never deleted to "stop" them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from irkit.model.changes import Change
from irkit.model.kube import PODS, Obj, ObjectRef, Resource, annotations_of, controller_of, is_ready
from irkit.text import printable
from irkit.workloads.shared import Observation, mounted_claims


class BarePod(Observation, frozen=True):
    resource: ClassVar[Resource] = PODS

    @property
    def stopped(self) -> bool:
        return True

    @property
    def pods(self) -> Sequence[Obj]:
        """None: it is one itself."""
        return ()

    @property
    def summary(self) -> str:
        return "no controller"

    def ready(self) -> bool:
        return is_ready(self.object)

    def stop(self) -> Iterator[Change]:
        return iter(())

    def on_stop(self) -> Iterator[str]:
        owner = controller_of(self.object)
        if "kubernetes.io/config.mirror" in annotations_of(self.object):
            yield f"{self.ref} is a static pod: its node's kubelet runs it from a file, and no change in the API stops it"
        elif owner is not None:
            yield printable(f"{self.ref} belongs to {owner.get('kind')} {owner.get('name')}, which irkit can't stop: it may start more pods", 600)
        else:
            yield f"{self.ref} has no controller: there is nothing to scale down, and nothing replaces it"

    def on_detach(self, suspect: ObjectRef) -> Iterator[str]:
        yield from mounted_claims(self.cluster, suspect)

    def selector(self) -> Obj | None:
        return None
