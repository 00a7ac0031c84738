"""Whether the suspect still lives: its memory and its open files are evidence."""

from __future__ import annotations

from collections.abc import Iterator

from irkit.checks.base import CheckResult
from irkit.errors import ForbiddenError
from irkit.model.incident import Incident
from irkit.model.kube import Obj, ObjectRef, at
from irkit.ports import Observed, exists
from irkit.text import printable

ENDED = ("Succeeded", "Failed")


class Alive:
    """Holds where the very pod is there, runs or had ended before, and isn't being deleted. What its containers lost meanwhile is a finding."""

    name = "alive"

    def judge(self, incident: Incident, ref: ObjectRef, seen: Observed) -> CheckResult:
        if incident.target.gone and ref.same(incident.target.pod):
            return CheckResult(check=self.name, holds=True, summary=f"{ref} was gone before this incident began: nothing to keep")
        try:
            pod = exists(seen.cluster, ref)
        except ForbiddenError as error:
            return CheckResult(check=self.name, holds=None, summary=f"not known whether {ref} lives: {error.message}")
        if pod is None:
            return CheckResult(check=self.name, holds=False, summary=f"{ref} is gone", data={"phase": "", "restarts": {}})
        phase, deleted = str(at(pod, ("status", "phase"), "")), at(pod, ("metadata", "deletionTimestamp"))
        findings = tuple(_changes(incident, pod)) if ref.same(incident.target.pod) else ()
        restarts = {printable(name): count for name, count in _restarts(pod).items()}
        if deleted:
            text = f"{ref} is being deleted since {printable(deleted)}"
        elif phase == incident.target.phase and phase in ENDED:
            text = f"{ref} had ended before this incident began (phase {phase}): its records are still there"
        elif phase == "Running":
            text = f"{ref} is alive" + (", but not as it was" if findings else "")
        else:
            text = f"{ref} does not run: its phase is {printable(phase or 'unknown')}"
        unchanged = phase == "Running" or (phase == incident.target.phase and phase in ("Pending", *ENDED))
        return CheckResult(check=self.name, holds=unchanged and not deleted, summary=text, findings=findings,
                           data={"phase": phase, "restarts": restarts})  # fmt: skip


def _statuses(pod: Obj) -> list[Obj]:
    fields = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    return [s for field in fields for s in at(pod, ("status", field)) or ()]


def _restarts(pod: Obj) -> dict[str, int]:
    return {s.get("name", ""): s.get("restartCount", 0) for s in _statuses(pod)}


def _changes(incident: Incident, pod: Obj) -> Iterator[str]:
    """What is other than when the incident opened."""
    before = {c.name: c for c in incident.target.containers}
    for status in _statuses(pod):
        name, now = status.get("name", ""), status.get("restartCount", 0)
        known = before.get(name)
        if known is None:
            yield printable(f"container {name} is new since the incident opened (image {status.get('image')})", 600)
        elif now != known.restarts:
            lost = "its memory is lost, and its log before that run is overwritten"
            yield f"container {printable(name)} restarted since the incident opened ({known.restarts} → {now}): {lost}"
        ended = at(status, ("state", "terminated"))
        if ended is not None and known is not None and known.kind == "container":
            yield printable(f"container {name} has ended: {ended.get('reason') or 'no reason given'}, exit code {ended.get('exitCode')}", 600)
