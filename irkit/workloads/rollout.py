"""How far a workload is, and why it is not ready: its own conditions, what its containers wait for, and warnings about its pods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from irkit.errors import IrkitError
from irkit.model.kube import DAEMONSETS, DEPLOYMENTS, EVENTS, REPLICASETS, STATEFULSETS, Obj, at, is_ready, owned_by
from irkit.model.managers import managers_of
from irkit.ports import ClusterReader
from irkit.text import printable
from irkit.workloads.base import Workload
from irkit.workloads.shared import active

_COUNTS = {DEPLOYMENTS: ("readyReplicas", "replicas"), REPLICASETS: ("readyReplicas", "replicas"), STATEFULSETS: ("readyReplicas", "replicas")}
_LINE = 300  # characters of one reason


def progress(workload: Workload) -> str:
    """``1 of 3 pods ready``; empty where the kind has no such numbers, or its controller has not seen the newest spec."""
    obj, resource = workload.object, workload.ref.resource
    if not _seen(obj):
        return ""
    if resource == DAEMONSETS:
        wanted, have = at(obj, ("status", "desiredNumberScheduled"), 0), at(obj, ("status", "numberReady"), 0)
    elif resource in _COUNTS:
        wanted, have = at(obj, ("spec", "replicas"), 1), at(obj, ("status", "readyReplicas"), 0)
    else:
        return ""
    newest = at(obj, ("status", "updatedNumberScheduled" if resource == DAEMONSETS else "updatedReplicas"), 0)
    return f"{have} of {wanted} pods ready" + (f", {newest} of the newest" if resource != REPLICASETS and newest < wanted else "")


def given_up(workload: Workload) -> str:
    """Why its controller waits no more (``ProgressDeadlineExceeded`` of a Deployment); empty while it does."""
    stuck = next((c for c in _conditions(workload.object) if c.get("reason") == "ProgressDeadlineExceeded" and c.get("status") == "False"), None)
    if stuck is None or not _seen(workload.object):
        return ""
    return f"its rollout made no progress for {at(workload.object, ('spec', 'progressDeadlineSeconds'), 600)} s (ProgressDeadlineExceeded)"


def _seen(obj: Obj) -> bool:
    return bool(at(obj, ("status", "observedGeneration"), 0) >= at(obj, ("metadata", "generation"), 0))


def why_not_ready(workload: Workload, cluster: ClusterReader) -> tuple[str, ...]:
    """One line a reason, each once, safe for a terminal; what may not be read is left out."""
    found: list[str] = []
    try:
        found += _of_conditions(workload.object)
        waiting = [p for p in active(workload.pods) if not is_ready(p)]
        found += _grouped((_name(p), line) for p in waiting for line in _of_pod(p))
        found += _grouped(_of_events(workload, waiting, cluster))
    except IrkitError as error:
        found.append(f"more is not known: {error.message}")
    return tuple(dict.fromkeys(found))


def who_starts(workload: Workload) -> str:
    """Who set the field by which the workload was stopped, after irkit did; empty where the API server does not say."""
    path = {"Job": ("spec", "suspend"), "CronJob": ("spec", "suspend"), "DaemonSet": ("spec", "template", "spec", "nodeSelector")}
    names = [m for m in managers_of(workload.object, path.get(workload.ref.kind, ("spec", "replicas"))) if m.name != "irkit"]
    return printable(max(names, key=lambda m: m.time).name) if names else ""


def _grouped(lines: Iterable[tuple[str, str]]) -> Iterator[str]:
    """One line for all that say the same: ``backend: CrashLoopBackOff (backend-7c-x2 and 2 more)``."""
    by: dict[str, list[str]] = {}
    for name, line in lines:
        by.setdefault(line, []).append(name)
    for line, names in by.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield printable(f"{line} ({names[0]}{more})", _LINE)


def _name(obj: Obj) -> str:
    return str(at(obj, ("metadata", "name"), ""))


def _conditions(obj: Obj) -> Sequence[Obj]:
    return at(obj, ("status", "conditions")) or ()


def _of_conditions(obj: Obj) -> Iterator[str]:
    """A quota, a limit range, admission: the controller can't even create the pods."""
    for condition in _conditions(obj):
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            yield printable(f"its pods can't be created: {condition.get('message') or condition.get('reason')}", _LINE)


def _of_pod(pod: Obj) -> Iterator[str]:
    said = False
    for status in [s for field in ("initContainerStatuses", "containerStatuses") for s in at(pod, ("status", field)) or ()]:
        waits, ended = at(status, ("state", "waiting")), at(status, ("lastState", "terminated")) or at(status, ("state", "terminated"))
        reason = str((waits or {}).get("reason") or "")
        if reason not in ("", "PodInitializing", "ContainerCreating"):
            message = f": {waits['message']}" if waits.get("message") else ""
            exited = f" (its last run ended with {ended.get('exitCode')}, {ended.get('reason') or 'no reason given'})" if ended else ""
            yield f"{status.get('name')}: {reason}{message}{exited}"
            said = True
        elif at(status, ("state", "running")) and not status.get("ready") and "started" in status:
            probe = "readiness" if status["started"] else "startup"
            yield f"{status.get('name')}: runs, but its {probe} probe does not pass"
            said = True
    for condition in _conditions(pod) if not said else ():
        if condition.get("status") == "False" and condition.get("type") == "PodScheduled":
            yield f"{condition.get('reason')}: {condition.get('message')}"


def _of_events(workload: Workload, waiting: Sequence[Obj], cluster: ClusterReader) -> Iterator[tuple[str, str]]:
    """The newest warning about each of its pods that are not ready, and about what makes its pods."""
    makers = {workload.ref.uid}
    if workload.ref.resource == DEPLOYMENTS:
        makers |= {at(r, ("metadata", "uid")) for r in cluster.list(REPLICASETS, workload.ref.namespace) if owned_by(r, workload.ref)}
    uids = makers | {at(p, ("metadata", "uid")) for p in waiting}
    newest: dict[tuple[str, str], Obj] = {}
    for event in cluster.list(EVENTS, workload.ref.namespace):
        about = event.get("involvedObject") or {}
        if event.get("type") == "Warning" and about.get("uid") in uids:
            newest[str(about.get("name")), str(event.get("reason"))] = event
    for (name, reason), event in sorted(newest.items()):
        yield name, f"{reason}: {event.get('message')}"
