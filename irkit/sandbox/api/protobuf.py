"""The few protobuf bodies that kubectl sends for built-in kinds without a JSON alternative (`auth can-i`, `create secret`, `create pdb`).

Typed clients of client-go prefer protobuf and don't fall back on a 415. The field numbers are those of
k8s.io/api/*/generated.proto; a kind that is not in the table is answered 415, which a real API server has for none of its own kinds, and a
field that is not is skipped.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from irkit.model.kube import Obj

MAGIC = b"k8s\x00"
# field number -> (name, type); "text", "flag", "number", "bytes", "texts", "map", "bytemap", "share" (IntOrString),
# or another message; with "*", several
_MESSAGES: dict[str, dict[int, tuple[str, str]]] = {
    "Unknown": {1: ("typeMeta", "TypeMeta"), 2: ("raw", "raw")},
    "TypeMeta": {1: ("apiVersion", "text"), 2: ("kind", "text")},
    "ObjectMeta": {1: ("name", "text"), 2: ("generateName", "text"), 3: ("namespace", "text"), 11: ("labels", "map"), 12: ("annotations", "map")},
    "SelfSubjectAccessReview": {1: ("metadata", "ObjectMeta"), 2: ("spec", "AccessSpec")},
    "AccessSpec": {1: ("resourceAttributes", "ResourceAttributes"), 2: ("nonResourceAttributes", "NonResourceAttributes")},
    "ResourceAttributes": {n: (name, "text") for n, name in enumerate(
        ("namespace", "verb", "group", "version", "resource", "subresource", "name"), 1)},
    "NonResourceAttributes": {1: ("path", "text"), 2: ("verb", "text")},
    "SelfSubjectRulesReview": {1: ("metadata", "ObjectMeta"), 2: ("spec", "RulesSpec")},
    "RulesSpec": {1: ("namespace", "text")},
    "SelfSubjectReview": {1: ("metadata", "ObjectMeta")},
    "Namespace": {1: ("metadata", "ObjectMeta")},
    "Secret": {1: ("metadata", "ObjectMeta"), 2: ("data", "bytemap"), 3: ("type", "text"), 4: ("stringData", "map"), 5: ("immutable", "flag")},
    "ConfigMap": {1: ("metadata", "ObjectMeta"), 2: ("data", "map"), 3: ("binaryData", "bytemap"), 4: ("immutable", "flag")},
    "DeleteOptions": {1: ("gracePeriodSeconds", "number"), 2: ("preconditions", "Preconditions"), 4: ("propagationPolicy", "text"),
                      5: ("dryRun", "texts")},
    "ServiceAccount": {1: ("metadata", "ObjectMeta")},
    "TokenRequest": {1: ("metadata", "ObjectMeta"), 2: ("spec", "TokenSpec")},
    "TokenSpec": {1: ("audiences", "texts"), 3: ("boundObjectRef", "BoundObject"), 4: ("expirationSeconds", "number")},
    "BoundObject": {1: ("kind", "text"), 2: ("apiVersion", "text"), 3: ("name", "text"), 4: ("uid", "text")},
    "Eviction": {1: ("metadata", "ObjectMeta"), 2: ("deleteOptions", "DeleteOptions")},
    "Preconditions": {1: ("uid", "text"), 2: ("resourceVersion", "text")},
    "PodDisruptionBudget": {1: ("metadata", "ObjectMeta"), 2: ("spec", "BudgetSpec")},
    "BudgetSpec": {1: ("minAvailable", "share"), 2: ("selector", "LabelSelector"), 3: ("maxUnavailable", "share"),
                   4: ("unhealthyPodEvictionPolicy", "text")},
    "LabelSelector": {1: ("matchLabels", "map"), 2: ("matchExpressions", "Requirement*")},
    "Requirement": {1: ("key", "text"), 2: ("operator", "text"), 3: ("values", "texts")},
}  # fmt: skip
_INNER = {"Unknown", "TypeMeta", "ObjectMeta", "AccessSpec", "ResourceAttributes", "NonResourceAttributes", "RulesSpec", "Preconditions",
          "TokenSpec", "BoundObject", "BudgetSpec", "LabelSelector", "Requirement"}  # fmt: skip


def decode(body: bytes) -> Obj | None:
    """The object in a protobuf body; None where its kind is not known here. Raises ValueError where it is no protobuf."""
    if not body.startswith(MAGIC):
        raise ValueError("provided data does not appear to be a protobuf message")
    envelope = _message("Unknown", body[len(MAGIC) :])
    meta = envelope.get("typeMeta") or {}
    kind = meta.get("kind", "")
    if kind not in _MESSAGES or kind in _INNER:
        return None
    return {**meta, **_message(kind, envelope.get("raw", b""))}


def _message(name: str, data: bytes) -> Obj:
    known, found = _MESSAGES[name], dict[str, Any]()
    for number, value in _fields(data):
        if number not in known:
            continue
        field, kind = known[number]
        if kind in ("map", "bytemap"):
            key, item = _entry(value)
            found.setdefault(field, {})[key] = base64.b64encode(item).decode() if kind == "bytemap" else item.decode()
        elif kind == "texts":
            found.setdefault(field, []).append(_bytes(value).decode())
        elif kind == "text":
            if text := _bytes(value).decode():
                found[field] = text
        elif kind in ("flag", "number"):
            found[field] = bool(value) if kind == "flag" else value
        elif kind == "share":
            found[field] = _share(dict(_fields(_bytes(value))))
        elif kind.endswith("*"):
            found.setdefault(field, []).append(_message(kind[:-1], _bytes(value)))
        else:
            found[field] = _bytes(value) if kind == "raw" else _message(kind, _bytes(value))
    return found


def _entry(value: int | bytes) -> tuple[str, bytes]:
    parts = dict(_fields(_bytes(value)))
    return _bytes(parts.get(1, b"")).decode(), _bytes(parts.get(2, b""))


def _share(parts: dict[int, int | bytes]) -> int | str:
    """An IntOrString: 1 is its type (0 a number, 1 text), 2 the number, 3 the text."""
    if parts.get(1):
        return _bytes(parts.get(3, b"")).decode()
    number = parts.get(2, 0)
    if not isinstance(number, int):
        raise ValueError("wrong wire type")  # noqa: TRY004 - the bytes are wrong, not the call
    return number - 2**64 if number >= 2**63 else number


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("wrong wire type")  # noqa: TRY004 - the bytes are wrong, not the call
    return value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        match tag & 7:
            case 0:
                value, at = _varint(data, at)
                yield tag >> 3, value
            case 2:
                size, at = _varint(data, at)
                if at + size > len(data):
                    raise ValueError("cut short")
                yield tag >> 3, data[at : at + size]
                at += size
            case 1 | 5 as fixed:
                at += 8 if fixed == 1 else 4
            case _:
                raise ValueError("unknown wire type")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("cut short")
