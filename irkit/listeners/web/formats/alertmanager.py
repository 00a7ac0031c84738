"""Alertmanager's webhook, version 4: a group of alerts; those that are resolved are none.

Source: prometheus.io, "Alerting: Configuration", webhook_config. Labels ``exported_namespace`` and ``exported_pod`` win:
where a scraped label clashes with the target's own, Prometheus keeps the scraped one under that name (honor_labels: false),
and an alert on kube-state-metrics would otherwise be about kube-state-metrics.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from irkit.errors import UsageError
from irkit.listeners.web.formats import reading
from irkit.model.alert import Alert


class _Alert(msgspec.Struct, rename="camel"):
    status: str
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: str = ""
    fingerprint: str = ""


class _Group(msgspec.Struct, rename="camel"):
    version: str
    alerts: list[_Alert]


_WORKLOADS = ("deployment", "statefulset", "daemonset", "replicaset", "job_name", "cronjob")
_SAID = ("summary", "description", "message")


def read(name: str, body: bytes) -> reading.Alerts:
    group = reading.document(body, _Group)
    if group.version != "4":
        raise UsageError("this source reads version 4 of Alertmanager's webhook")
    return reading.several([one for one in group.alerts if one.status == "firing"], lambda one: _alert(name, one))


def _alert(name: str, one: _Alert) -> Alert:
    labels = one.labels
    what = labels.get("alertname", "")
    return Alert(
        source=name, name=reading.text(what), severity=reading.level(labels.get("severity")), namespace=_named(labels, "namespace"),
        pod=_named(labels, "pod"), workload=_workload(labels), node=_named(labels, "node"), labels=reading.labelled(labels),
        summary=reading.text(next((one.annotations[k] for k in _SAID if one.annotations.get(k)), what), reading.SUMMARY),
        at=reading.text(one.starts_at, 40),
        fingerprint=reading.text(one.fingerprint, 64) or reading.digest(what, *(f"{k}={v}" for k, v in sorted(labels.items()))),
    )  # fmt: skip


def _named(labels: Mapping[str, str], label: str) -> str:
    return reading.named(labels.get(f"exported_{label}")) or reading.named(labels.get(label))


def _workload(labels: Mapping[str, str]) -> str:
    return next((f"{kind.removesuffix('_name')}/{found}" for kind in _WORKLOADS if (found := _named(labels, kind))), "")
