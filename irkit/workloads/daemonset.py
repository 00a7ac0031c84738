"""DaemonSets. They have no scale: a node selector that no node matches ends their pods, all at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from irkit.model.changes import Change, Patch
from irkit.model.kube import DAEMONSETS, Obj, ObjectRef, Resource, at
from irkit.text import plural
from irkit.workloads.shared import Observation, edit, endings, find_pod, host_ports, mounted_claims, outage

NOWHERE = "irkit.dev/none"  # a node label that nobody sets
_PATH = ("spec", "template", "spec", "nodeSelector", NOWHERE)


class DaemonSet(Observation, frozen=True):
    resource: ClassVar[Resource] = DAEMONSETS

    @property
    def stopped(self) -> bool:
        return at(self.object, _PATH) is not None or (self.observed and self.status("desiredNumberScheduled") == 0)

    @property
    def summary(self) -> str:
        return f"a pod on each of {plural(self.status('desiredNumberScheduled'), 'node')}"

    def ready(self) -> bool:
        wanted = self.status("desiredNumberScheduled")
        by_hand = at(self.object, ("spec", "updateStrategy", "type")) == "OnDelete"
        newest = by_hand or self.status("updatedNumberScheduled") >= wanted
        return self.observed and newest and self.status("numberReady") >= wanted

    def stop(self) -> Iterator[Change]:
        if not self.stopped:
            yield Patch(ref=self.ref, edits=(edit(self.object, _PATH, "true"),), why=f"stop {self.ref}", pods=endings(self.pods))

    def on_stop(self) -> Iterator[str]:
        if not self.stopped:
            labels = at(self.object, ("spec", "template", "metadata", "labels")) or {}
            pods = self.pods
            yield from outage(self.cluster, self.ref.namespace, labels, pods, f"{len(pods)} → 0 pods")

    def on_detach(self, suspect: ObjectRef) -> Iterator[str]:
        ports = host_ports(self._spec)
        if ports:
            node = at(find_pod(self.cluster, suspect) or {}, ("spec", "nodeName")) or "its node"
            shown = ", ".join(map(str, ports[:6]))
            yield f"host port {shown} of {node} stays taken by the quarantined pod: its replacement there can't start"
        yield from mounted_claims(self.cluster, suspect)

    @property
    def _spec(self) -> Obj:
        return at(self.object, ("spec", "template", "spec")) or {}
