"""CronJobs. Suspending one only keeps it from starting Jobs; those that run are suspended too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from irkit.model.changes import Change
from irkit.model.kube import CRONJOBS, JOBS, Obj, ObjectRef, Resource, at, owned_by, ref_of
from irkit.text import plural, printable
from irkit.workloads.job import Job
from irkit.workloads.shared import Observation, owned_pods, suspend


class CronJob(Observation, frozen=True):
    resource: ClassVar[Resource] = CRONJOBS

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Its Jobs, finished ones too."""
        found = self.cluster.list(JOBS, self.ref.namespace)
        return tuple(Job(ref_of(j, JOBS), j, self.cluster) for j in found if owned_by(j, self.ref))

    @property
    def pods(self) -> Sequence[Obj]:
        return owned_pods(self.cluster, self.ref.namespace, {j.ref.uid for j in self.jobs})

    @property
    def stopped(self) -> bool:
        return self._suspended and all(j.stopped for j in self.jobs)

    @property
    def summary(self) -> str:
        active = sum(not j.stopped for j in self.jobs)
        text = f"at {printable(at(self.object, ('spec', 'schedule'), '?'), 60)}, {plural(active, 'active Job')}"
        return f"{text}, suspended" if self._suspended else text

    def ready(self) -> bool:
        return not self._suspended

    def stop(self) -> Iterator[Change]:
        """First no new Jobs, then none that runs: the other order would leave a gap for a new one."""
        if not self._suspended:
            yield suspend(self.ref, self.object)
        for job in self.jobs:
            yield from job.stop()

    def on_stop(self) -> Iterator[str]:
        for job in self.jobs:
            if not job.stopped:
                yield from job.on_stop()
        if not self._suspended and at(self.object, ("spec", "startingDeadlineSeconds")) is None:
            yield f"runs of {self.ref} that are missed while it is suspended may start at once when it is resumed (no startingDeadlineSeconds)"

    def on_detach(self, suspect: ObjectRef) -> Iterator[str]:
        owner = next((j for j in self.jobs if suspect.uid in {at(p, ("metadata", "uid")) for p in j.pods}), None)
        yield from Observation.on_detach(self, suspect) if owner is None else owner.on_detach(suspect)

    @property
    def _suspended(self) -> bool:
        return bool(at(self.object, ("spec", "suspend")))

    def selector(self) -> Obj | None:
        return None
