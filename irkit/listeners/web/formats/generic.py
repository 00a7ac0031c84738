"""Any JSON: the settings say where things are, by JSON pointers (RFC 6901). No code, no expressions."""

from __future__ import annotations

from typing import Any

from irkit.errors import UsageError
from irkit.listeners.web.formats import reading
from irkit.model.alert import Alert, Level
from irkit.settings.serve import MappingSettings

_OBJECTS = ("namespace", "pod", "node")


def read(name: str, body: bytes, mapping: MappingSettings) -> reading.Alerts:
    found = reading.document(body, Any)
    if not mapping.alerts:
        return reading.Alerts([_alert(name, found, mapping)])
    several = pointed(found, mapping.alerts)
    if not isinstance(several, list):
        raise UsageError("the document has no list of alerts where the source's mapping says")
    return reading.several(several, lambda one: _alert(name, one, mapping))


def _alert(name: str, found: Any, mapping: MappingSettings) -> Alert:
    values = {field: pointed(found, pointer) for field, pointer in mapping.fields.items()}
    what = reading.text(values["name"])
    if not what:
        raise UsageError("an alert has no name where the source's mapping says")
    objects = {field: reading.named(values.get(field)) for field in _OBJECTS}
    kind, _, owner = reading.text(values.get("workload")).lower().partition("/")
    labels = reading.labelled({label: pointed(found, pointer) for label, pointer in mapping.labels.items()})
    summary, at = reading.text(values.get("summary"), reading.SUMMARY), reading.text(values.get("at"), 40)
    return Alert(
        source=name, name=what, severity=_level(values.get("severity"), mapping), **objects, labels=labels, summary=summary, at=at,
        workload=f"{kind}/{owner}" if kind.isalpha() and reading.named(owner) else "",
        fingerprint=reading.text(values.get("fingerprint"), 64) or reading.digest(what, *objects.values(), at, summary),
    )  # fmt: skip


def _level(value: object, mapping: MappingSettings) -> Level:
    return mapping.severities.get(reading.text(value)) or reading.level(value)


def pointed(found: Any, pointer: str) -> Any:
    """What the pointer names; None where there is nothing."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict):
            found = found.get(key)
        elif isinstance(found, list) and key.isascii() and key.isdigit() and len(key) < 7 and int(key) < len(found):
            found = found[int(key)]
        else:
            return None
    return found
