"""Label and field selectors of query strings (`labels.Parse`, `fields.ParseSelector` of apimachinery)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from irkit.model.kube import Obj, at, labels_of
from irkit.sandbox.failures import bad_request

Predicate = Callable[[Obj], bool]
_TOKEN = re.compile(r"\s*(?:(?P<op>==|!=|=|!|\(|\)|,)|(?P<word>[^\s=!(),]+))")
_FIELDS: dict[str, tuple[str, ...]] = {
    "Pod": ("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
            "status.phase", "status.podIP", "status.nominatedNodeName"),
    "Event": ("involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
              "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
              "reportingComponent", "source", "type"),
    "Secret": ("type",), "Namespace": ("status.phase",), "Node": ("spec.unschedulable",), "ReplicaSet": ("status.replicas",),
    "Job": ("status.successful",),
}  # fmt: skip


def labels(text: str) -> Predicate:
    """Raises Failure 400 where ``text`` is not a selector."""
    requirements = _parse(text)
    return lambda obj: all(_holds(r, labels_of(obj)) for r in requirements)


def _holds(requirement: tuple[str, str, frozenset[str]], found: dict[str, str]) -> bool:
    key, operator, values = requirement
    if operator == "in":
        return found.get(key) in values
    if operator == "notin":
        return key not in found or found[key] not in values
    return (key in found) == (operator == "exists")


def _parse(text: str) -> list[tuple[str, str, frozenset[str]]]:
    tokens = _tokens(text)
    found: list[tuple[str, str, frozenset[str]]] = []
    while tokens:
        if tokens[0] == "!":
            tokens.pop(0)
            found.append((_word(tokens), "absent", frozenset()))
        else:
            found.append(_requirement(tokens))
        if tokens and tokens.pop(0) != ",":
            raise bad_request(f"unable to parse requirement: unexpected text in selector {text!r}")
    return found


def _requirement(tokens: list[str]) -> tuple[str, str, frozenset[str]]:
    key = _word(tokens)
    if not tokens or tokens[0] == ",":
        return key, "exists", frozenset()
    operator = tokens.pop(0)
    if operator in ("=", "==", "!="):
        value = _word(tokens) if tokens and tokens[0] != "," else ""
        return key, "notin" if operator == "!=" else "in", frozenset([value])
    if operator not in ("in", "notin"):
        raise bad_request(f"unable to parse requirement: found '{operator}', expected: in, notin, =, ==, !=, gt, lt")
    return key, operator, _values(tokens)


def _values(tokens: list[str]) -> frozenset[str]:
    if tokens[:1] != ["("]:
        raise bad_request(f"unable to parse requirement: found '{tokens[0] if tokens else ''}' expected: '('")
    tokens.pop(0)
    values: set[str] = set()
    while tokens:
        part = tokens.pop(0)
        if part == ")":
            return frozenset(values)
        if part != ",":
            values.add(part)
    raise bad_request("unable to parse requirement: found '', expected: ',' or ')'")


def _word(tokens: list[str]) -> str:
    if not tokens or tokens[0] in ("=", "==", "!=", "!", "(", ")", ","):
        raise bad_request(f"unable to parse requirement: found '{tokens[0] if tokens else ''}', expected: identifier")
    return tokens.pop(0)


def _tokens(text: str) -> list[str]:
    return [match["op"] or match["word"] for match in _TOKEN.finditer(text)]


def fields(text: str, kind: str) -> Predicate:
    """Raises Failure 400 where a field can't be selected by."""
    requirements: list[tuple[str, bool, str]] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = re.fullmatch(r"([^=!]+)(==|!=|=)(.*)", part)
        if match is None:
            raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
        path, operator, value = match.groups()
        if path not in ("metadata.name", "metadata.namespace", *_FIELDS.get(kind, ())):
            raise bad_request(f"field label not supported: {path}")
        requirements.append((path, operator != "!=", value))
    return lambda obj: all((_text(at(obj, path.split("."))) == value) == wanted for path, wanted, value in requirements)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def formatted(selector: Obj | None) -> str:
    """A LabelSelector as ``app=web,tier in (a,b)``."""
    if selector is None:
        return "<none>"
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for requirement in selector.get("matchExpressions") or ():
        key, values = requirement["key"], ",".join(requirement.get("values") or ())
        shown = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}"}
        parts.append(shown.get(requirement["operator"], key))
    return ",".join(parts) or "<none>"
