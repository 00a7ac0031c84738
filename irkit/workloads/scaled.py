"""Workloads with ``spec.replicas`` and the subresource ``scale``: what they have in common."""

from __future__ import annotations

from collections.abc import Iterator

from irkit.model.changes import Change, Patch
from irkit.model.kube import at
from irkit.text import plural
from irkit.workloads.shared import Observation, edit, endings, outage


class Scaled(Observation, frozen=True):
    """Base of Deployment, ReplicaSet and StatefulSet."""

    @property
    def replicas(self) -> int:
        """How many it wants; the API's default is 1."""
        count: int = at(self.object, ("spec", "replicas"), 1)
        return count

    @property
    def stopped(self) -> bool:
        return self.replicas == 0

    @property
    def summary(self) -> str:
        return plural(self.replicas, "replica")

    def ready(self) -> bool:
        return self.observed and self.status("readyReplicas") >= self.replicas

    def stop(self) -> Iterator[Change]:
        if not self.stopped:
            change = edit(self.object, ("spec", "replicas"), 0)
            yield Patch(ref=self.ref, edits=(change,), action="scale", subresource="scale", why=f"stop {self.ref}", pods=endings(self.pods))

    def on_stop(self) -> Iterator[str]:
        if not self.stopped:
            labels = at(self.object, ("spec", "template", "metadata", "labels")) or {}
            yield from outage(self.cluster, self.ref.namespace, labels, self.pods, f"{self.replicas} → 0 replicas")
