"""A probe that a playbook names: a Job in the namespace, judged by how it ended."""

from __future__ import annotations

import msgspec

from irkit.checks.base import CheckResult
from irkit.errors import ForbiddenError
from irkit.model.incident import Incident
from irkit.model.kube import Obj, ObjectRef, at
from irkit.ports import Observed, exists
from irkit.text import printable


class JobEnded(msgspec.Struct, frozen=True):
    """Holds where the Job is Complete. One that is over and was cleared away, or still runs, is not known."""

    name = "job"

    def judge(self, incident: Incident, ref: ObjectRef, seen: Observed) -> CheckResult:
        try:
            job = exists(seen.cluster, ref)
        except ForbiddenError as error:
            return CheckResult(check=self.name, holds=None, summary=f"not known how {ref} ended: {error.message}")
        if job is None:
            return CheckResult(check=self.name, holds=None, summary=f"{ref} is gone: how it ended is not known")
        if _is(job, "Complete"):
            return CheckResult(check=self.name, holds=True, summary=f"{ref} completed")
        if failed := _is(job, "Failed"):
            why = printable(f"{failed.get('reason') or 'failed'}: {failed.get('message') or ''}".rstrip(": "), 300)
            return CheckResult(check=self.name, holds=False, summary=f"{ref} failed: {why}",
                               findings=(f"kubectl -n {ref.namespace} logs job/{ref.name}   says more",))  # fmt: skip
        return CheckResult(check=self.name, holds=None, summary=f"{ref} is not over yet")


def _is(job: Obj, kind: str) -> Obj | None:
    return next((c for c in at(job, ("status", "conditions")) or () if c.get("type") == kind and c.get("status") == "True"), None)
