"""Objects as tables: what `kubectl get` prints (pkg/printers/internalversion/printers.go)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from irkit.model.kube import Obj, at, is_ready
from irkit.sandbox.catalog import Served
from irkit.sandbox.clock import parse
from irkit.sandbox.selectors import formatted

_Cell = Callable[[Obj, datetime], Any]


class _Column(NamedTuple):
    name: str
    cell: _Cell
    wide: bool = False
    type: str = "string"


def table(served: Served, objects: Iterable[Obj], now: datetime, meta: Obj, *, include: str = "Metadata") -> Obj:
    """``include``: what of each object goes along, as the parameter ``includeObject`` says."""
    columns = [_NAME, *_COLUMNS.get(served.resource.kind, (_AGE,))] if served.resource.kind != "Event" else list(_COLUMNS["Event"])
    return {
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta,
        "columnDefinitions": [{"name": c.name, "type": c.type, "format": "name" if c.name == "Name" else "", "description": "",
                               "priority": int(c.wide)} for c in columns],
        "rows": [{"cells": [c.cell(obj, now) for c in columns], **_included(obj, include)} for obj in objects],
    }  # fmt: skip


def _included(obj: Obj, include: str) -> Obj:
    if include == "None":
        return {}
    if include == "Object":
        return {"object": obj}
    return {"object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}}


def age(since: str | None, now: datetime) -> str:
    """As `duration.HumanDuration`: two units at most, exact where it is young."""
    if not since:
        return "<unknown>"
    seconds = max(0, int((now - parse(since)).total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    return f"{days}d{hours % 24}h" if days < 8 and hours % 24 else f"{days}d"


def _get(*path: str, default: Any = "<none>") -> _Cell:
    return lambda obj, now: at(obj, path, default)


def _pod_ready(obj: Obj, now: datetime) -> str:
    statuses = at(obj, ("status", "containerStatuses"), [])
    return f"{sum(bool(s.get('ready')) for s in statuses)}/{len(obj['spec'].get('containers') or ())}"


def _pod_status(obj: Obj, now: datetime) -> str:
    if "deletionTimestamp" in obj["metadata"]:
        return "Terminating"
    for status in at(obj, ("status", "containerStatuses"), []):
        for state in ("waiting", "terminated"):
            if reason := at(status, ("state", state, "reason")):
                return str(reason)
    return str(at(obj, ("status", "reason")) or at(obj, ("status", "phase"), "Unknown"))


def _restarts(obj: Obj, now: datetime) -> str:
    statuses = at(obj, ("status", "containerStatuses"), [])
    ends = [at(s, ("lastState", "terminated", "finishedAt")) for s in statuses if at(s, ("lastState", "terminated", "finishedAt"))]
    count = str(sum(s.get("restartCount", 0) for s in statuses))
    return f"{count} ({age(max(ends), now)} ago)" if ends else count


def _containers(field: str) -> _Cell:
    return lambda obj, now: ",".join(c.get(field, "") for c in at(obj, ("spec", "template", "spec", "containers"), []))


def _selector(*path: str) -> _Cell:
    return lambda obj, now: formatted(at(obj, path))


def _plain_selector(obj: Obj, now: datetime) -> str:
    return ",".join(f"{k}={v}" for k, v in sorted(at(obj, ("spec", "selector"), {}).items())) or "<none>"


def _ports(obj: Obj, now: datetime) -> str:
    return ",".join(f"{p['port']}/{p.get('protocol', 'TCP')}" for p in at(obj, ("spec", "ports"), [])) or "<none>"


def _node_status(obj: Obj, now: datetime) -> str:
    return ("Ready" if is_ready(obj) else "NotReady") + (",SchedulingDisabled" if at(obj, ("spec", "unschedulable")) else "")


def _roles(obj: Obj, now: datetime) -> str:
    prefix = "node-role.kubernetes.io/"
    return ",".join(k.removeprefix(prefix) for k in sorted(obj["metadata"].get("labels") or {}) if k.startswith(prefix)) or "<none>"


def _last_seen(obj: Obj, now: datetime) -> str:
    return age(at(obj, ("series", "lastObservedTime")) or obj.get("lastTimestamp") or obj.get("eventTime"), now)


def _about(obj: Obj, now: datetime) -> str:
    return f"{at(obj, ('involvedObject', 'kind'), '').lower()}/{at(obj, ('involvedObject', 'name'), '')}"


def _ready(field: str) -> _Cell:
    """A field of the condition Ready."""
    return lambda obj, now: next((c.get(field) for c in at(obj, ("status", "conditions"), []) if c["type"] == "Ready"), None)


def _fraction(part: str, *whole: str) -> _Cell:
    return lambda obj, now: f"{at(obj, ('status', part), 0)}/{at(obj, whole, 0)}"


_NAME = _Column("Name", _get("metadata", "name"))
_AGE = _Column("Age", lambda obj, now: age(obj["metadata"].get("creationTimestamp"), now))
_TEMPLATE = (_Column("Containers", _containers("name"), True), _Column("Images", _containers("image"), True),
             _Column("Selector", _selector("spec", "selector"), True))  # fmt: skip


def _count(name: str, *path: str) -> _Column:
    return _Column(name, _get(*path, default=0), type="integer")


_STORE = (_Column("AGE", _AGE.cell, type="date"), _Column("Status", _ready("reason")),
          _Column("Capabilities", _get("status", "capabilities", default=None)), _Column("Ready", _ready("status")))  # fmt: skip
_COLUMNS: dict[str, tuple[_Column, ...]] = {
    "Pod": (_Column("Ready", _pod_ready), _Column("Status", _pod_status), _Column("Restarts", _restarts), _AGE,
            _Column("IP", _get("status", "podIP"), True), _Column("Node", _get("spec", "nodeName"), True),
            _Column("Nominated Node", _get("status", "nominatedNodeName"), True), _Column("Readiness Gates", lambda o, n: "<none>", True)),
    "Deployment": (_Column("Ready", _fraction("readyReplicas", "spec", "replicas")), _count("Up-to-date", "status", "updatedReplicas"),
                   _count("Available", "status", "availableReplicas"), _AGE, *_TEMPLATE),
    "ReplicaSet": (_count("Desired", "spec", "replicas"), _count("Current", "status", "replicas"), _count("Ready", "status", "readyReplicas"),
                   _AGE, *_TEMPLATE),
    "StatefulSet": (_Column("Ready", _fraction("readyReplicas", "spec", "replicas")), _AGE, *_TEMPLATE[:2]),
    "DaemonSet": (_count("Desired", "status", "desiredNumberScheduled"), _count("Current", "status", "currentNumberScheduled"),
                  _count("Ready", "status", "numberReady"), _count("Up-to-date", "status", "updatedNumberScheduled"),
                  _count("Available", "status", "numberAvailable"), _AGE, *_TEMPLATE),
    "Job": (_Column("Completions", _fraction("succeeded", "spec", "completions")), _AGE, *_TEMPLATE),
    "CronJob": (_Column("Schedule", _get("spec", "schedule")), _Column("Suspend", lambda o, n: str(at(o, ("spec", "suspend"), False))), _AGE),
    "NetworkPolicy": (_Column("Pod-Selector", _selector("spec", "podSelector")), _AGE),
    "Service": (_Column("Type", _get("spec", "type")), _Column("Cluster-IP", _get("spec", "clusterIP")),
                _Column("External-IP", lambda o, n: "<none>"), _Column("Port(s)", _ports), _AGE, _Column("Selector", _plain_selector, True)),
    "Namespace": (_Column("Status", _get("status", "phase")), _AGE),
    "Node": (_Column("Status", _node_status), _Column("Roles", _roles), _AGE, _Column("Version", _get("status", "nodeInfo", "kubeletVersion"))),
    "ConfigMap": (_Column("Data", lambda o, n: len(o.get("data") or {}) + len(o.get("binaryData") or {}), type="integer"), _AGE),
    "Secret": (_Column("Type", _get("type")), _Column("Data", lambda o, n: len(o.get("data") or {}), type="integer"), _AGE),
    "ExternalSecret": (_Column("StoreType", _get("spec", "secretStoreRef", "kind", default=None)),
                       _Column("Store", _get("spec", "secretStoreRef", "name", default=None)),
                       _Column("Refresh Interval", _get("spec", "refreshInterval", default=None)), _Column("Status", _ready("reason")),
                       _Column("Ready", _ready("status"))),
    "SecretStore": _STORE, "ClusterSecretStore": _STORE,
    "Lease": (_Column("Holder", _get("spec", "holderIdentity")), _AGE),
    "Event": (_Column("Last Seen", _last_seen), _Column("Type", _get("type")), _Column("Reason", _get("reason")), _Column("Object", _about),
              _Column("Message", lambda o, n: str(o.get("message", "")).strip())),
}  # fmt: skip
