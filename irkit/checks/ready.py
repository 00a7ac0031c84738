"""Whether a workload has all its pods, of its newest template, ready."""

from __future__ import annotations

import msgspec

from irkit import workloads
from irkit.checks.base import CheckResult
from irkit.errors import ForbiddenError, NotFoundError
from irkit.model.incident import Incident
from irkit.model.kube import ObjectRef
from irkit.ports import Observed
from irkit.workloads import rollout


class Ready(msgspec.Struct, frozen=True):
    name = "ready"

    def judge(self, incident: Incident, ref: ObjectRef, seen: Observed) -> CheckResult:
        try:
            workload = workloads.observe(ref, seen.cluster)
            ready = workload.ready()
        except NotFoundError:
            return CheckResult(check=self.name, holds=False, summary=f"{ref} is gone")
        except ForbiddenError as error:
            return CheckResult(check=self.name, holds=None, summary=f"not known whether {ref} is ready: {error.message}")
        far = rollout.progress(workload) or workload.summary
        if ready:
            return CheckResult(check=self.name, holds=True, summary=f"{ref} is ready: {far}")
        return CheckResult(check=self.name, holds=False, summary=f"{ref} is not ready: {far}", findings=rollout.why_not_ready(workload, seen.cluster))
