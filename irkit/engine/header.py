"""Where we are and what is there: the facts that a person checks before saying yes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from irkit import workloads
from irkit.errors import IrkitError
from irkit.model.incident import Incident, Target
from irkit.model.kube import NETWORKPOLICIES, PODS, Obj, controller_of
from irkit.network import verdict
from irkit.ports import Observed, exists
from irkit.text import plural, printable


class Header(msgspec.Struct, frozen=True):
    incident: Incident
    workload: str  # "3 replicas"
    policies: tuple[str, ...]  # that select the pod now
    warnings: tuple[str, ...]


def header(incident: Incident, seen: Observed, notes: Sequence[str]) -> Header:
    """From what was read already; what could not be read is said as a warning."""
    target = incident.target
    warnings = [*_of_target(target), *dict.fromkeys(notes)]
    policies: tuple[str, ...] = ()
    pod = exists(seen.cluster, target.pod) if target.is_pod and not target.gone else None
    if pod is not None:
        found = verdict.selecting(pod, seen.cluster.list(NETWORKPOLICIES, target.namespace))
        policies = tuple(p["metadata"]["name"] for p in found)
        warnings += _claims(target, pod)
    return Header(incident, _summary(target, seen), policies, tuple(warnings))


def _of_target(target: Target) -> list[str]:
    found = []
    if target.gone and not target.is_pod:
        found.append(f"{target.pod} is gone; this incident is on what is left of it: {plural(len(target.siblings), 'pod')}")
    elif target.gone:
        found.append(f"the pod has ended; this incident is on its {target.workload.kind if target.workload else 'namespace'}")
    if target.phase in ("Succeeded", "Failed"):
        found.append(f"the pod has ended already (phase {target.phase}); only its records are left")
    restarts = sum(c.restarts for c in target.containers)
    if restarts:
        found.append(f"{plural(restarts, 'restart')}: what ran before the last one is in the previous log at most")
    return found


def _claims(target: Target, pod: Obj) -> list[str]:
    """An owner that the pod names and that does not own it: whoever may write the pod may have named it."""
    claimed = controller_of(pod)
    if claimed is None or any(o.uid == claimed.get("uid") for o in target.owners):
        return []
    name = printable(f"{claimed.get('kind')} {claimed.get('name')}", 120)
    return [f"the pod names {name} as its owner, which does not select it, or is not there: not believed, and left alone"]


def _summary(target: Target, seen: Observed) -> str:
    if target.workload is None or target.workload.resource == PODS:
        return ""
    try:
        return workloads.observe(target.workload, seen.cluster).summary
    except IrkitError as error:
        return f"not known: {error.message}"
