"""Whether all pods that an incident cut off are so, in whatever namespaces they are."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from irkit.checks.base import CheckResult
from irkit.errors import ForbiddenError
from irkit.model.incident import INCIDENT_LABEL, Incident
from irkit.model.kube import NETWORKPOLICIES, PODS, Obj, ObjectRef, at, labels_of, ref_of
from irkit.network.verdict import judge, line
from irkit.ports import Observed
from irkit.text import plural


class PodsIsolated(msgspec.Struct, frozen=True):
    """Holds where no policy lets anything through to a pod that carries this incident's label."""

    name = "pods-isolated"

    def judge(self, incident: Incident, ref: ObjectRef, seen: Observed) -> CheckResult:
        try:
            found = [(pod, tuple(_open(pod, seen))) for pod in _cut(incident, seen)]
        except ForbiddenError as error:
            return CheckResult(check=self.name, holds=None, summary=f"not known which pods are cut off: {error.message}")
        leaking = [ref_of(pod, PODS) for pod, leaks in found if leaks]
        text = f"{plural(len(found) - len(leaking), 'pod')} cut off by policy in both directions"
        if leaking:
            text += f", and {plural(len(leaking), 'pod')} not: {', '.join(map(str, leaking[:5]))}"
        return CheckResult(check=self.name, holds=not leaking, summary=text, findings=tuple(leak for _, leaks in found for leak in leaks))


def _cut(incident: Incident, seen: Observed) -> list[Obj]:
    """The bound pods that carry the incident's label. From lists of whole namespaces: those are read in any case."""
    bound = {pod.uid for pod in incident.target.siblings}
    namespaces = sorted({pod.namespace for pod in incident.target.siblings} - set(seen.settings.protected_namespaces))
    return [p for n in namespaces for p in seen.cluster.list(PODS, n)
            if at(p, ("metadata", "uid")) in bound and labels_of(p).get(INCIDENT_LABEL) == incident.short]  # fmt: skip


def _open(pod: Obj, seen: Observed) -> Iterator[str]:
    ref = ref_of(pod, PODS)
    for leak in judge(pod, seen.cluster.list(NETWORKPOLICIES, ref.namespace)):
        yield f"{ref}: {line(leak)} ({leak.why})"
