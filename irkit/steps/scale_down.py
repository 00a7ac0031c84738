"""Stop a workload without ending the pod under suspicion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from irkit import reverters, workloads
from irkit.errors import NotFoundError, RefusedError
from irkit.model.arguments import Workload
from irkit.model.changes import Await, Change, Patch, redeployed
from irkit.model.incident import QUARANTINE_LABEL, Incident
from irkit.model.kube import labels_of
from irkit.model.plan import Confirm
from irkit.network import deny
from irkit.ports import Observed, exists


@dataclass(frozen=True, slots=True)
class ScaleDown:
    """End state: ``workload`` starts no pods, and what would start them again is paused. Its pods end; detached ones live on.

    The suspect must have been let go of by its controller before anything is scaled: else it would end, too. Where that
    can't be, because the controller goes on selecting it, the workload is left alone and the step says so.
    """

    kind: ClassVar[str] = "scale-down"
    confirm: ClassVar[Confirm] = "ask"
    ends: ClassVar[str] = "workload"

    workload: Workload

    def plan(self, incident: Incident, seen: Observed) -> Iterator[Change]:
        if incident.keep_workload or redeployed(seen.begun, self.workload):
            return
        try:
            workload = workloads.observe(self.workload, seen.cluster)
        except NotFoundError:
            return
        stop = tuple(workload.stop())
        suspect = incident.target.pod
        owner = None if workload.stopped or not stop else incident.target.controller(pod := exists(seen.cluster, suspect))
        if owner is not None and pod is not None and not workloads.lets_go(owner, pod):
            owner = None
        if owner is not None and deny.stays_selected(incident):
            if pod is not None and QUARANTINE_LABEL in labels_of(pod):
                raise RefusedError(f"{owner} still selects {suspect} and does not let go of it: stopping {self.workload} would end the pod",
                                   next="stop it by hand once the pod may end: irkit incident show")  # fmt: skip
            return
        if owner is not None:
            yield Await(condition="detached", ref=suspect, owner=owner)
        undoing = reverters.find_all(self.workload, workload.object, seen.cluster)
        pauses = [(r.pause, r.after) for r in undoing if r.pause is not None and _may(r.pause, seen)]
        yield from (pause for pause, after in pauses if not after)
        for change in stop:
            yield _sparing(change, incident)
        yield from (pause for pause, after in pauses if after)
        if stop or any(p["metadata"]["uid"] != suspect.uid for p in workloads.active(workload.pods)):
            yield Await(condition="no-pods", ref=self.workload)
        if (stop or pauses) and any(r.reverts for r in undoing):
            yield Await(condition="held", ref=self.workload)

    def notes(self, incident: Incident, seen: Observed) -> Iterator[str]:
        if incident.keep_workload:
            yield f"{self.workload} goes on, as asked: its other pods stay up"
            return
        if redeployed(seen.begun, self.workload):
            yield f"{self.workload} was redeployed in this incident: it is not stopped again"
            return
        try:
            workload = workloads.observe(self.workload, seen.cluster)
        except NotFoundError:
            yield f"{self.workload} is gone already"
            return
        yield from workload.on_stop()
        for reverter in reverters.find_all(self.workload, workload.object, seen.cluster):
            yield reverter.effect
            if reverter.pause is not None and not _may(reverter.pause, seen):
                yield f"{reverter.name} is not paused: you may not patch {reverter.pause.ref}; pause it by hand, or it may undo the stop"
            elif reverter.why_not:
                yield f"{reverter.name} is not paused: {reverter.why_not}; pause it by hand, or it may undo the stop"


def _may(patch: Patch, seen: Observed) -> bool:
    """A reverter that may not be patched stops nothing: it is said."""
    return all(seen.cluster.can(p) for p in patch.permissions if p.verb == "patch")


def _sparing(change: Change, incident: Incident) -> Change:
    """The same change, whose pods to end are those that are not detached by then."""
    if not isinstance(change, Patch):
        return change
    return msgspec.structs.replace(change, pods=tuple(p for p in change.pods if not incident.target.is_suspect(p)))
