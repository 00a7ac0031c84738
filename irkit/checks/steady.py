"""Whether containers have restarted since the workload was back."""

from __future__ import annotations

import msgspec

from irkit import workloads
from irkit.checks.base import CheckResult
from irkit.errors import ForbiddenError, NotFoundError
from irkit.model.incident import Incident
from irkit.model.kube import Obj, ObjectRef, at
from irkit.ports import Observed
from irkit.text import plural, printable


class Steady(msgspec.Struct, frozen=True):
    """Holds where no container of the workload has restarted more often than when it was redeployed; ``first`` only notes the counts."""

    first: bool = False

    name = "steady"

    def judge(self, incident: Incident, ref: ObjectRef, seen: Observed) -> CheckResult:
        try:
            pods = workloads.active(workloads.observe(ref, seen.cluster).pods)
        except (ForbiddenError, NotFoundError) as error:
            return CheckResult(check=self.name, holds=None, summary=f"not known whether containers of {ref} restart: {error.message}")
        now = {(str(at(p, ("metadata", "uid"), "")), str(at(p, ("metadata", "name"), "")), name): count for p in pods for name, count in _counts(p)}
        data = {"restarts": {f"{uid}/{container}": count for (uid, _, container), count in now.items()}}
        if self.first:
            text = f"{ref}: {plural(len(pods), 'pod')}, {plural(sum(now.values()), 'restart')} so far"
            return CheckResult(check=self.name, holds=True, summary=text, data=data)
        more = [(pod, container, seen.restarts.get(f"{uid}/{container}", 0), count) for (uid, pod, container), count in now.items()
                if count > seen.restarts.get(f"{uid}/{container}", 0)]  # fmt: skip
        findings = tuple(printable(f"{pod}/{container} restarted ({before} → {count})", 300) for pod, container, before, count in more)
        text = f"containers of {ref} restart: {plural(len(more), 'container')}" if more else f"no container of {ref} has restarted since it was back"
        return CheckResult(check=self.name, holds=not more, summary=text, findings=findings, data=data)


def _counts(pod: Obj) -> list[tuple[str, int]]:
    """Restarts of its containers; an init container runs again with its pod, and says nothing."""
    return [(str(s.get("name", "")), int(s.get("restartCount") or 0)) for s in at(pod, ("status", "containerStatuses")) or ()]
