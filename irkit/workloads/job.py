"""Jobs. Suspending one deletes all active pods that it owns (KEP-2232), so the suspect must be detached before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from irkit.model.changes import Change
from irkit.model.kube import JOBS, ObjectRef, Resource, at
from irkit.workloads.shared import Observation, endings, finished, mounted_claims, outage, suspend


class Job(Observation, frozen=True):
    resource: ClassVar[Resource] = JOBS

    @property
    def stopped(self) -> bool:
        return bool(at(self.object, ("spec", "suspend"))) or finished(self.object)

    @property
    def summary(self) -> str:
        if finished(self.object):
            return "finished"
        wanted = at(self.object, ("spec", "completions"))
        done = f"{self.status('succeeded')} of {wanted} done" if wanted else f"{self.status('succeeded')} done"
        return f"{self.status('active')} active, {done}" + (", suspended" if self.stopped else "")

    def ready(self) -> bool:
        """Whether it runs again: at least one pod is ready, or it is over."""
        if finished(self.object):
            return True
        return not self.stopped and self.status("ready") + self.status("succeeded") > 0

    def stop(self) -> Iterator[Change]:
        if not self.stopped:
            yield suspend(self.ref, self.object, endings(self.pods))

    def on_stop(self) -> Iterator[str]:
        if not self.stopped:
            labels = at(self.object, ("spec", "template", "metadata", "labels")) or {}
            pods = self.pods
            yield from outage(self.cluster, self.ref.namespace, labels, pods, f"{len(endings(pods))} → 0 pods")
        kept = at(self.object, ("spec", "ttlSecondsAfterFinished"))
        if kept is not None:
            yield f"{self.ref} and its pods are deleted {kept} s after it finishes (ttlSecondsAfterFinished)"

    def on_detach(self, suspect: ObjectRef) -> Iterator[str]:
        deadline = at(self.object, ("spec", "activeDeadlineSeconds"))
        if deadline is not None and not finished(self.object):
            yield f"{self.ref} ends the pods that it owns {deadline} s after its start (activeDeadlineSeconds); a detached pod lives on"
        own = at(self.object, ("spec", "template", "spec", "activeDeadlineSeconds"))
        if own is not None:
            yield f"the kubelet ends {suspect} {own} s after its start (activeDeadlineSeconds), quarantined or not"
        yield from mounted_claims(self.cluster, suspect)
