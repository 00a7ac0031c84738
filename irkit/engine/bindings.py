"""What ``${name}`` stands for in an incident: bound when it opened, never looked up again, never evaluated."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from irkit.engine import parameters
from irkit.errors import UsageError
from irkit.model.incident import Incident
from irkit.model.kube import ObjectRef
from irkit.model.playbook import Parameter, Playbook
from irkit.steps.base import Step
from irkit.text import nearest, printable


def names(parameter: Parameter | None, incident: Incident) -> dict[str, Any]:
    """Every bound name; ``parameter`` is the playbook's target. None where the target has no such thing."""
    target = incident.target
    bound: dict[str, Any] = {
        **incident.parameters,
        "incident.id": incident.id, "incident.operator": incident.operator.name, "incident.cluster": incident.cluster.context,
    }  # fmt: skip
    if parameter is None:
        return bound
    name = parameter.name
    if parameter.type == "workload":
        kind = target.workload.kind if target.workload else None
        return bound | _object(name, target.workload) | {f"{name}.kind": kind, f"{name}.pods": target.siblings}
    if parameter.type != "pod":
        return bound | _object(name, target.pod) | {f"{name}.pods": target.siblings}
    return bound | _object(name, target.pod) | {f"{name}.node": target.node, f"{name}.siblings": target.siblings, f"{name}.workload": target.workload}


def _object(name: str, ref: ObjectRef | None) -> dict[str, Any]:
    return {name: ref} | {f"{name}.{part}": getattr(ref, part, None) for part in ("name", "namespace", "uid")}


def arguments(kind: type[Step], written: Mapping[str, Any], bound: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of a step: references stay references, text becomes text."""
    types = {f.name: f.type for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    found = {}
    for key, value in written.items():
        field = key.replace("-", "_")
        given = parameters.substitute(value, bound, text=types[field] in ("str", "tuple[str, ...]"))
        found[field] = (given,) if types[field] == "Pods" and isinstance(given, ObjectRef) else given
    return found


def given(playbook: Playbook, words: Mapping[str, str]) -> dict[str, Any]:
    """The values of ``-p name=value``, by their types, and the defaults. Raises UsageError for all that does not fit."""
    takes = {p.name: p for p in playbook.parameters if p is not playbook.target}
    for name in words:
        if name not in takes:
            near = nearest(name, takes)
            hint = f"; did you mean {near[0]!r}?" if near else (f"; it takes {', '.join(takes)}" if takes else "; it takes none")
            raise UsageError(f"playbook {playbook.name} has no parameter '{printable(name, 80)}'{hint}")
    absent = [p.name for p in takes.values() if p.required and p.name not in words]
    if absent:
        raise UsageError(f"playbook {playbook.name} needs -p {absent[0]}=…" + (f" ({takes[absent[0]].help})" if takes[absent[0]].help else ""))
    return {name: parameters.parse(p, words[name]) if name in words else p.default for name, p in takes.items()}


def samples(playbook: Playbook) -> dict[str, Any]:
    """A value for each parameter that has no default: to plan without a run."""
    filled = {"integer": 1, "duration": 60.0, "boolean": True, "image": f"sample@sha256:{'0' * 64}"}
    return {p.name: p.default if p.default is not None else filled.get(p.type, "sample") for p in playbook.parameters if p is not playbook.target}
