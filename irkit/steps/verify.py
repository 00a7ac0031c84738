"""Prove that the end states hold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

from irkit.checks.wanted import Wanted, wanted
from irkit.errors import UsageError
from irkit.model.arguments import Pod
from irkit.model.changes import Await, Change, Check, Create, Patch
from irkit.model.incident import INCIDENT_LABEL, Incident
from irkit.model.kube import JOBS, Obj, ObjectRef
from irkit.model.plan import Confirm
from irkit.ports import Observed

Name = Literal["isolated", "stopped", "alive", "untampered", "held", "ready", "image", "old-image", "steady", "endpoints", "rotated"]
_KEPT = 600  # seconds that a probe's Job is kept after its end, for its log


@dataclass(frozen=True, slots=True)
class Verify:
    """End state: each of ``checks`` that applies was judged in this invocation, each probe was made, and what was found is on record.

    Of a workload that was redeployed, it is judged that it is back and nothing runs the old image; of any other, that it is
    stopped. ``http`` are probes as in ``https://shop.example/health 200``, ``tcp`` as in ``db.example:5432``, both from this
    machine; ``job`` is an image that runs ``job_command`` once in the namespace, and must end well.
    """

    kind: ClassVar[str] = "verify"
    confirm: ClassVar[Confirm] = "never"

    pod: Pod = None  # type: ignore[assignment]  # a playbook about a workload has none
    checks: tuple[Name, ...] = ("isolated", "stopped", "alive", "untampered", "held", "ready", "image", "old-image", "steady", "endpoints", "rotated")
    http: tuple[str, ...] = ()
    tcp: tuple[str, ...] = ()
    job: str = ""
    job_command: tuple[str, ...] = ()

    def plan(self, incident: Incident, seen: Observed) -> Iterator[Change]:
        cut = any(isinstance(c, Patch) and c.action == "relabel" and c.ref.same(incident.target.pod) for c in seen.begun)
        named = cast("ObjectRef | None", self.pod)
        pod = named if named is not None else incident.target.pod if cut else None
        stopping = not incident.keep_workload and named is not None
        for one in (*wanted(self.checks, incident, seen.begun, pod=pod, stopping=stopping), *self._probes(incident)):
            check = _check(one, seen)
            if check.mark not in seen.marks:
                yield check
        if self.job:
            yield from self._through_a_job(incident, seen)

    def notes(self, incident: Incident, seen: Observed) -> Iterator[str]:
        if self.job_command and not self.job:
            raise UsageError("verify: job-command needs job, the image that runs it")
        return iter(())

    def _probes(self, incident: Incident) -> Iterator[Wanted]:
        from irkit.checks import http, tcp  # not on the way to a cut

        for text in self.http:
            url = http.parse(text)
            yield Wanted("http", incident.target.pod, url.url, {"url": url.url, "status": url.status})
        for text in self.tcp:
            place = tcp.parse(text)
            yield Wanted("tcp", incident.target.pod, f"{place.host}:{place.port}", {"host": place.host, "port": place.port})

    def _through_a_job(self, incident: Incident, seen: Observed) -> Iterator[Change]:
        """One Job for each run of this step: made, waited for, judged; the cluster clears it away by itself."""
        name = f"irkit-probe-{incident.short}-{hashlib.sha256(f'{seen.step} {seen.run}'.encode()).hexdigest()[:8]}"
        ref = ObjectRef(resource=JOBS, name=name, namespace=incident.target.namespace)
        check = _check(Wanted("job", ref), seen)
        if check.mark not in seen.marks:
            yield Create(ref=ref, object=self._manifest(ref, incident), why="a probe of this playbook", forward=True)
            yield Await(condition="finished", ref=ref)
            yield check

    def _manifest(self, ref: ObjectRef, incident: Incident) -> Obj:
        labels = {INCIDENT_LABEL: incident.short, "app.kubernetes.io/managed-by": "irkit"}
        locked: dict[str, Any] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}
        container = {"name": "probe", "image": self.job, "securityContext": locked}
        if self.job_command:
            container["command"] = list(self.job_command)
        pod = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container]}
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": ref.name, "namespace": ref.namespace, "labels": labels},
                "spec": {"backoffLimit": 0, "ttlSecondsAfterFinished": _KEPT, "template": {"metadata": {"labels": labels}, "spec": pod}}}  # fmt: skip


def _check(one: Wanted, seen: Observed) -> Check:
    return Check(check=one.check, ref=one.ref, step=seen.step, run=seen.run, about=one.about, given=one.given)
