"""Deployments. Their pods belong to ReplicaSets, which are never scaled by themselves: the Deployment would scale them back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from irkit.model.kube import DEPLOYMENTS, REPLICASETS, Obj, Resource, at, owned_by
from irkit.workloads.scaled import Scaled
from irkit.workloads.shared import owned_pods


class Deployment(Scaled, frozen=True):
    resource: ClassVar[Resource] = DEPLOYMENTS

    @property
    def pods(self) -> Sequence[Obj]:
        sets = self.cluster.list(REPLICASETS, self.ref.namespace)
        owners = {str(at(r, ("metadata", "uid"))) for r in sets if owned_by(r, self.ref)}
        return owned_pods(self.cluster, self.ref.namespace, owners)

    def ready(self) -> bool:
        """As ``kubectl rollout status``: pods of an older template count neither as ready ones nor as gone. A paused one is not asked
        for its newest template."""
        ready = self.observed and self.status("readyReplicas") >= self.replicas
        if at(self.object, ("spec", "paused")):
            return ready
        updated = self.status("updatedReplicas")
        return ready and updated >= self.replicas and self.status("replicas") <= updated
