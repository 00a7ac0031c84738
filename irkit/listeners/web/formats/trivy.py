"""Trivy Operator's reports: the object itself, or with its verb where deleted ones are sent, too.

Source: trivy-operator, "Webhook Integration" and pkg/webhook (WebhookMsg); the reports' custom resources. A report is about
a workload, which its labels name. Without any finding there is no alert.
"""

from __future__ import annotations

from typing import Any

import msgspec

from irkit.errors import UsageError
from irkit.listeners.web.formats import reading
from irkit.model.alert import Alert, Level
from irkit.text import plural


class _Meta(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    creation_timestamp: str | None = ""
    labels: dict[str, str] = {}


class _Summary(msgspec.Struct, rename="camel"):
    critical_count: int = 0
    high_count: int = 0
    medium_count: int = 0
    low_count: int = 0


class _Vulnerability(msgspec.Struct):
    id: str = msgspec.field(name="vulnerabilityID", default="")
    severity: str = ""


class _Report(msgspec.Struct, rename="camel"):
    summary: _Summary = msgspec.field(default_factory=_Summary)
    artifact: dict[str, Any] = {}
    vulnerabilities: list[_Vulnerability] | None = None
    secrets: list[Any] | None = None
    checks: list[Any] | None = None
    update_timestamp: str | None = ""


class _Object(msgspec.Struct):
    metadata: _Meta
    report: _Report
    kind: str = ""


class _Message(msgspec.Struct, rename="camel"):
    verb: str = ""
    operator_object: _Object | None = None


_LABEL = "trivy-operator."
_LEVELS: tuple[Level, ...] = ("critical", "high", "medium", "low")
_KINDS = ("VulnerabilityReport", "ExposedSecretReport", "ConfigAuditReport")


def read(name: str, body: bytes) -> reading.Alerts:
    message = reading.document(body, _Message)
    if message.verb == "delete":
        return reading.Alerts()
    found = message.operator_object or reading.document(body, _Object)
    counts = found.report.summary
    by_level = dict(zip(_LEVELS, (counts.critical_count, counts.high_count, counts.medium_count, counts.low_count), strict=True))
    severity = next((level for level, count in by_level.items() if count > 0), None)
    return reading.Alerts([_alert(name, found, severity, by_level)] if severity is not None else ())


def _alert(name: str, found: _Object, severity: Level, counts: dict[Level, int]) -> Alert:
    meta, report = found.metadata, found.report
    kind = found.kind or _kind(report)
    of = {key: value for key, value in meta.labels.items() if key.startswith(_LABEL)}
    resource, owner = of.get(f"{_LABEL}resource.kind", ""), reading.named(of.get(f"{_LABEL}resource.name"))
    image = ":".join(t for t in (reading.text(report.artifact.get("repository")), reading.text(report.artifact.get("tag"))) if t)
    worst = [v.id for v in report.vulnerabilities or () if v.id and v.severity.lower() == severity][:5]
    said = f"{kind}: " + ", ".join(plural(n, f"{level} finding") for level, n in counts.items() if n) + (f" in {image}" if image else "")
    return Alert(
        source=name, name=reading.text(kind), severity=severity, namespace=reading.named(meta.namespace),
        pod=owner if resource == "Pod" else "", workload=f"{resource.lower()}/{owner}" if resource.isalpha() and owner and resource != "Pod" else "",
        labels=reading.labelled({**meta.labels, **({"image": image} if image else {})}),
        summary=reading.text(said + (f" ({', '.join(worst)})" if worst else ""), reading.SUMMARY),
        at=reading.text(report.update_timestamp or meta.creation_timestamp, 40),
        fingerprint=reading.digest(kind, meta.namespace, meta.name, *worst),
    )  # fmt: skip


def _kind(report: _Report) -> str:
    """Go's typed clients drop ``kind`` from what they read; then the report's contents tell."""
    lists = (report.vulnerabilities, report.secrets, report.checks)
    found = next((kind for kind, values in zip(_KINDS, lists, strict=True) if values is not None), "")
    if not found:
        raise UsageError("the report has no kind, and nothing in it tells which it is")
    return found
