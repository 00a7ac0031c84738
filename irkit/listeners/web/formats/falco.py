"""Falco's ``http_output`` and falcosidekick's webhook: one event, the same fields; falcosidekick adds ``uuid``.

Source: falco.org, "Falco Alerts: Output Channels", JSON output; falcosidekick, types/types.go (FalcoPayload).
"""

from __future__ import annotations

from typing import Any

import msgspec

from irkit.listeners.web.formats import reading
from irkit.model.alert import Alert


class _Event(msgspec.Struct):
    rule: str
    priority: str
    output: str = ""
    time: str = ""
    uuid: str = ""
    hostname: str | None = ""
    source: str | None = ""  # syscall, k8s_audit, …
    tags: list[str] | None = None
    output_fields: dict[str, Any] | None = None


_NAMESPACE = ("k8s.ns.name", "k8smeta.ns.name", "ka.target.namespace")
_POD = ("k8s.pod.name", "k8smeta.pod.name")
_NODE = ("k8s.node.name", "k8smeta.node.name")


def read(name: str, body: bytes) -> reading.Alerts:
    event = reading.document(body, _Event)
    fields = event.output_fields or {}
    pod = _first(fields, _POD)
    if not pod and fields.get("ka.target.resource") == "pods":
        pod = reading.named(fields.get("ka.target.name"))
    labels = {**reading.labelled(fields), **({"falco.source": event.source[: reading.LONGEST]} if event.source else {})}
    if event.tags:
        labels["tags"] = ",".join(event.tags)[: reading.LONGEST]
    at = reading.text(event.time, 40)
    return reading.Alerts([Alert(
        source=name, name=reading.text(event.rule), severity=reading.level(event.priority), namespace=_first(fields, _NAMESPACE), pod=pod,
        node=_first(fields, _NODE) or reading.named(event.hostname), labels=labels, summary=reading.text(event.output, reading.SUMMARY), at=at,
        fingerprint=reading.text(event.uuid, 64) or reading.digest(event.rule, at, event.output),
    )])  # fmt: skip


def _first(fields: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((found for n in names if (found := reading.named(fields.get(n)))), "")
