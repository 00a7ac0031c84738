"""What may be written where a step or a playbook takes a value.

``${name}`` is typed substitution of a bound value, not a template language. A value is either exactly one reference, or
(where text is taken) text with references to scalar values in it. It is put in once: what comes from a cluster is never
read again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from irkit.errors import UsageError
from irkit.model.playbook import Parameter
from irkit.text import nearest, printable

REFERENCE = re.compile(r"\$\{([^}]*)\}")
DURATION = re.compile(r"(?=[0-9])(?:([0-9]{1,4})h)?(?:([0-9]{1,4})m)?(?:([0-9]{1,5})s)?")
IMAGE = re.compile(r"[^\s@$]+@sha256:[0-9a-f]{64}")
MAX_DURATION = 86400.0  # seconds

_OBJECT = {"name": "string", "namespace": "string", "uid": "string"}
_PARTS: dict[str, dict[str, str]] = {
    "pod": {**_OBJECT, "node": "string", "siblings": "pods", "workload": "workload"},
    "workload": {**_OBJECT, "kind": "string", "pods": "pods"},
    "secret": {**_OBJECT, "pods": "pods"},
    "serviceaccount": {**_OBJECT, "pods": "pods"},
    "namespace": {"name": "string", "uid": "string", "pods": "pods"},
    "node": {"name": "string", "uid": "string", "pods": "pods"},
}
"""What a bound target knows besides itself. ``siblings``: the suspect first, then all pods of its workload; ``pods``: the
workload's, those that use the Secret or the ServiceAccount, those in the namespace, those on the node."""

_OF_INCIDENT = {"incident.id": "string", "incident.operator": "string", "incident.cluster": "string"}
"""Names that every playbook has: the id, the user as the API server sees it, the context."""

SCALARS = frozenset({"string", "image", "integer", "duration", "boolean"})
ANY = "any"  # the type of a parameter whose type is a mistake: fits everywhere, so that one mistake is said once

_LABELS = {
    "pod": "a pod", "pods": "pods", "workload": "a workload", "secret": "a Secret", "serviceaccount": "a ServiceAccount",
    "namespace": "a namespace", "node": "a node", "image": "an image", "string": "text", "integer": "a whole number",
    "duration": "a duration", "boolean": "true or false",
}  # fmt: skip


def names(parameters: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Every name that ``${…}`` may hold, with its type, for parameters given as (name, type); `bindings` has the values."""
    known = dict(_OF_INCIDENT)
    for name, kind in parameters:
        known[name] = kind
        known.update({f"{name}.{part}": of for part, of in _PARTS.get(kind, {}).items()})
    return known


def label(kind: str) -> str:
    """A type in words: ``a pod``."""
    return _LABELS[kind]


def problem(what: str, text: str, takes: str, known: Mapping[str, str]) -> str | None:
    """Why ``text`` can't stand in field ``what``, which takes a value of type ``takes``; None where it can.

    ``string`` takes scalars within text; every other type takes exactly one reference of that type.
    """
    for name in REFERENCE.findall(text):
        if name not in known and known.get(name.partition(".")[0]) != ANY:
            return _unbound(name, known)
    if "${" in REFERENCE.sub("", text):
        return f"{what!r} has a '${{' without its '}}'"
    if takes == "string":
        wrong = next((n for n in REFERENCE.findall(text) if known.get(n, ANY) not in SCALARS | {ANY}), None)
        return wrong and f"{what!r} takes text, and ${{{wrong}}} is {label(known[wrong])}{_instead(wrong, takes, known)}"
    whole = REFERENCE.fullmatch(text)
    if whole is None:
        return f"{what!r} takes {label(takes)}, not '{printable(text, 80)}'{_instead('', takes, known)}"
    if (kind := known.get(whole[1], ANY)) not in (takes, ANY) and (kind, takes) != ("pod", "pods"):  # one pod is pods, too
        return f"{what!r} takes {label(takes)}, and ${{{whole[1]}}} is {label(kind)}{_instead(whole[1], takes, known)}"
    return None


def _unbound(name: str, known: Mapping[str, str]) -> str:
    near = nearest(name, known)
    hint = f"; did you mean ${{{near[0]}}}?" if near else f"; known are {', '.join(sorted(known))}"
    return f"nothing is bound to ${{{printable(name, 80)}}}{hint}"


def _instead(name: str, takes: str, known: Mapping[str, str]) -> str:
    fitting = [n for n, kind in known.items() if kind == takes and n not in _OF_INCIDENT]
    own = [n for n in fitting if name and n.startswith(f"{name}.")] or fitting
    return f"; write ${{{own[0]}}}" if own else ""


def substitute(written: Any, values: Mapping[str, Any], *, text: bool = False) -> Any:
    """``written`` with every reference replaced from ``values``, once; ``text``: the result is text.

    A value that is one whole reference becomes the bound value itself, None where there is none (the workload of a pod
    that is gone); in longer text it is put in as text. Raises UsageError where text would have a hole.
    """
    if isinstance(written, tuple):
        return tuple(substitute(value, values, text=text) for value in written)
    if not isinstance(written, str):
        return written
    whole = REFERENCE.fullmatch(written)
    if whole and not text:
        return values.get(whole[1])
    return REFERENCE.sub(lambda match: _as_text(_known_value(match[1], values)), written)


def _known_value(name: str, values: Mapping[str, Any]) -> Any:
    if (value := values.get(name)) is None:
        raise UsageError(f"nothing is bound to ${{{printable(name, 80)}}}", next="" if "." in name else f"give it: -p {printable(name, 80)}=…")
    return value


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g} s" if isinstance(value, float) else str(value)  # only durations are floats


def seconds(text: str) -> float | None:
    """``90s``, ``2m`` or ``1h30m`` in seconds; None for anything else, nothing, and more than a day."""
    match = DURATION.fullmatch(text)
    if match is None:
        return None
    hours, minutes, rest = (int(part or 0) for part in match.groups())
    total = float(hours * 3600 + minutes * 60 + rest)
    return total if 0 < total <= MAX_DURATION else None


def parse(parameter: Parameter, text: str) -> Any:
    """The value of ``-p name=text``, by the parameter's type. Raises UsageError; a target's type stays text."""
    value: Any = text
    match parameter.type:
        case "integer":
            value = int(text) if re.fullmatch(r"[-+]?[0-9]{1,18}", text) else None
        case "duration":
            value = seconds(text)
        case "boolean":
            value = {"true": True, "false": False}.get(text)
        case "image":
            value = text if IMAGE.fullmatch(text) else None
    if value is None or text == "":
        raise UsageError(f"parameter {parameter.name} takes {expected(parameter.type)}, not '{printable(text, 80)}'")
    return value


def expected(kind: str) -> str:
    """What a literal of a type looks like, in words."""
    forms = {"image": "an image pinned by digest, as in app@sha256:9f3c…", "duration": "a duration such as 90s or 2m, at most a day"}
    return forms.get(kind) or label(kind)
