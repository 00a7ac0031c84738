"""Put evidence into a bag: the suspect first, then its siblings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from irkit import workloads
from irkit.errors import NotFoundError
from irkit.model.arguments import Pods
from irkit.model.changes import Capture, Change, redeployed
from irkit.model.evidence import VITAL
from irkit.model.incident import Incident
from irkit.model.kube import PODS, ObjectRef, ref_of
from irkit.model.plan import Confirm
from irkit.ports import Observed

Kind = Literal["state", "logs", "events", "specs", "network", "rbac", "credentials", "node"]


@dataclass(frozen=True, slots=True)
class Collect:
    """End state: the evidence of all ``pods`` is in a bag of this incident.

    Where ``pods`` are all pods of the workload, so are those that its controller has started since: a replacement may
    have been compromised the same way, and ends with the workload.
    """

    kind: ClassVar[str] = "collect"
    confirm: ClassVar[Confirm] = "never"
    collects: ClassVar[str] = "pods"
    vital: ClassVar[dict[str, tuple[str, ...]]] = {"take": VITAL}  # less than these is not the evidence of a pod

    pods: Pods
    take: tuple[Kind, ...] = ("state", "logs", "events", "specs", "network", "rbac", "node")

    def plan(self, incident: Incident, seen: Observed) -> Iterator[Change]:
        for pod in self._pods(incident, seen):
            capture = Capture(pod=pod, take=self.take, suspect=incident.target.is_suspect(pod))
            if capture.mark not in seen.marks:
                yield capture

    def notes(self, incident: Incident, seen: Observed) -> Iterator[str]:
        return iter(())

    def _pods(self, incident: Incident, seen: Observed) -> list[ObjectRef]:
        found = {pod.uid or pod.name: pod for pod in self.pods}
        workload = incident.target.workload
        if not {p.uid for p in incident.target.siblings} <= {p.uid for p in self.pods}:
            return sorted(found.values(), key=lambda pod: not incident.target.is_suspect(pod))
        if incident.target.gone and incident.target.is_pod:  # what is left of it: its events, its owners and their history, its node
            found.setdefault(incident.target.pod.uid or incident.target.pod.name, incident.target.pod)
        if workload is not None and not redeployed(seen.begun, workload):
            try:
                for pod in workloads.observe(workload, seen.cluster).pods:
                    found.setdefault(pod["metadata"]["uid"], ref_of(pod, PODS))
            except NotFoundError:
                pass  # deleted since: what it had is bound
        return sorted(found.values(), key=lambda pod: not incident.target.is_suspect(pod))
