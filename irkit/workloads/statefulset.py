"""StatefulSets. A pod's name is its identity: a detached pod keeps it, so there is no replacement (kubernetes#78649)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from irkit.model.kube import PODS, STATEFULSETS, ObjectRef, Resource, at, owned_by
from irkit.workloads.scaled import Scaled
from irkit.workloads.shared import mounted_claims


class StatefulSet(Scaled, frozen=True):
    resource: ClassVar[Resource] = STATEFULSETS

    def ready(self) -> bool:
        """As ``kubectl rollout status``: of the newest revision, but where its updates are by hand or for some ordinals only."""
        update, status = at(self.object, ("spec", "updateStrategy")) or {}, at(self.object, ("status",)) or {}
        by_hand = update.get("type") == "OnDelete" or at(update, ("rollingUpdate", "partition"), 0)
        newest = by_hand or status.get("updateRevision") == status.get("currentRevision") or self.status("updatedReplicas") >= self._reachable()
        return bool(newest) and self.observed and self.status("readyReplicas") >= self._reachable()

    def on_detach(self, suspect: ObjectRef) -> Iterator[str]:
        if self._ordinal(suspect.name) is not None:
            higher = ", nor any new pod of a higher ordinal" if self._ordered else ""
            yield f"the name {suspect.name} stays taken: until the quarantined pod is gone there is no replacement{higher}"
        yield from mounted_claims(self.cluster, suspect)

    @property
    def _ordered(self) -> bool:
        return bool(at(self.object, ("spec", "podManagementPolicy"), "OrderedReady") == "OrderedReady")

    def _reachable(self) -> int:
        """How many pods it can have while others hold names of its own."""
        first: int = at(self.object, ("spec", "ordinals", "start"), 0)
        names = {at(p, ("metadata", "name")) for p in self.cluster.list(PODS, self.ref.namespace) if not owned_by(p, self.ref)}
        taken = [i for i in range(self.replicas) if f"{self.ref.name}-{first + i}" in names]
        if not taken:
            return self.replicas
        return taken[0] if self._ordered else self.replicas - len(taken)

    def _ordinal(self, pod: str) -> int | None:
        stem, _, ordinal = pod.rpartition("-")
        return int(ordinal) if stem == self.ref.name and ordinal.isdecimal() else None
