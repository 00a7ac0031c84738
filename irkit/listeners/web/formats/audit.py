"""The Kubernetes API server's audit webhook: an EventList of audit.k8s.io/v1.

Source: kubernetes.io, "Auditing", webhook backend; apiserver, pkg/apis/audit/v1. An event has no severity: rules match its
name, which is the verb and the resource, as in ``create pods/exec``. Only events that are over count, so that one request is
one alert. What was asked for and answered is never read: it may hold secrets.
"""

from __future__ import annotations

import msgspec

from irkit.errors import UsageError
from irkit.listeners.web.formats import reading
from irkit.model.alert import Alert


class _User(msgspec.Struct):
    username: str = ""


class _Object(msgspec.Struct):
    resource: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""


class _Status(msgspec.Struct):
    code: int = 0


class _Event(msgspec.Struct, rename="camel"):
    stage: str
    verb: str
    audit_id: str = msgspec.field(name="auditID", default="")
    user: _User = msgspec.field(default_factory=_User)
    source_ips: list[str] = msgspec.field(name="sourceIPs", default_factory=list)
    user_agent: str = ""
    object_ref: _Object | None = None
    response_status: _Status | None = None
    request_received_timestamp: str = ""
    annotations: dict[str, str] = {}


class _List(msgspec.Struct, rename="camel"):
    kind: str
    api_version: str
    items: list[_Event]


_OVER = ("ResponseComplete", "Panic")


def read(name: str, body: bytes) -> reading.Alerts:
    found = reading.document(body, _List)
    if (found.kind, found.api_version) != ("EventList", "audit.k8s.io/v1"):
        raise UsageError("this source reads an EventList of audit.k8s.io/v1")
    over = [(event, event.object_ref) for event in found.items if event.stage in _OVER and event.object_ref is not None]
    return reading.several(over, lambda one: _alert(name, *one))


def _alert(name: str, event: _Event, about: _Object) -> Alert:
    what = f"{event.verb} {about.resource}" + (f"/{about.subresource}" if about.subresource else "")
    code = event.response_status.code if event.response_status else 0
    labels = {"user": event.user.username, "verb": event.verb, "resource": about.resource, "subresource": about.subresource, "name": about.name,
              "code": code or "", "source-ip": event.source_ips[0] if event.source_ips else "", "user-agent": event.user_agent,
              "decision": event.annotations.get("authorization.k8s.io/decision", "")}  # fmt: skip
    return Alert(
        source=name, name=reading.text(what), namespace=reading.named(about.namespace),
        pod=reading.named(about.name) if about.resource == "pods" else "", node=reading.named(about.name) if about.resource == "nodes" else "",
        labels=reading.labelled(labels), summary=reading.text(f"{event.user.username}: {what} {about.name}: {code}", reading.SUMMARY),
        at=reading.text(event.request_received_timestamp, 40), fingerprint=reading.text(event.audit_id, 64),
    )  # fmt: skip
