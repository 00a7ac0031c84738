"""Whether the workload starts no pods, and has none any more."""

from __future__ import annotations

import msgspec

from irkit import workloads
from irkit.checks.base import CheckResult
from irkit.errors import ForbiddenError, NotFoundError
from irkit.model.incident import Incident
from irkit.model.kube import PODS, ObjectRef, at, ref_of
from irkit.ports import Observed
from irkit.text import plural


class Stopped(msgspec.Struct, frozen=True):
    """Holds where the workload is stopped and owns no pod that has not finished. A detached pod is none of its own.

    ``images``, by container: those of a redeployment that was begun, and of which nobody knows how far it came (its run was
    killed). What runs them is back, and need not be stopped.
    """

    images: dict[str, str] = {}

    name = "stopped"

    def judge(self, incident: Incident, ref: ObjectRef, seen: Observed) -> CheckResult:
        try:
            workload = workloads.observe(ref, seen.cluster)
            running = workloads.active(workload.pods)
            stopped, summary = workload.stopped, workload.summary
        except NotFoundError:
            return CheckResult(check=self.name, holds=True, summary=f"{ref} is gone, and starts no pods")
        except ForbiddenError as error:
            return CheckResult(check=self.name, holds=None, summary=f"not known whether {ref} is stopped: {error.message}")
        if self.images and not stopped:
            from irkit.checks.image import AsWished  # not on the way to a cut

            return msgspec.structs.replace(AsWished(self.images).judge(incident, ref, seen), check=self.name)
        pods = tuple(str(ref_of(p, PODS)) for p in running)
        ending = sum(bool(at(p, ("metadata", "deletionTimestamp"))) for p in running)
        findings = tuple(f"{pod} is still there" for pod in pods)
        if not stopped:
            text = f"{ref} is not stopped: {summary}, {plural(len(pods), 'pod')}"
        elif pods:
            text = f"{ref} is stopped, but {plural(len(pods), 'pod')} of it {'is' if len(pods) == 1 else 'are'} left, {ending} ending"
        else:
            text = f"{ref} is stopped, and has no pods"
        return CheckResult(check=self.name, holds=stopped and not pods, summary=text, findings=findings,
                           data={"stopped": stopped, "pods": len(pods)})  # fmt: skip
