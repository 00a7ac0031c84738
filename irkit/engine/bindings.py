"""What ``${name}`` stands for in an incident: bound when it opened, never looked up again, never evaluated."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from irkit.engine.parameters import substitute
from irkit.model.incident import Incident
from irkit.model.kube import ObjectRef
from irkit.steps.base import Step


def names(parameter: str, incident: Incident) -> dict[str, Any]:
    """Every bound name; ``parameter`` is what the playbook calls its target. None where the target has no such thing."""
    target = incident.target
    bound: dict[str, Any] = {
        **incident.parameters,
        "incident.id": incident.id, "incident.operator": incident.operator.name, "incident.cluster": incident.cluster.context,
    }  # fmt: skip
    if parameter:
        bound |= {parameter: target.pod, **_object(parameter, target.pod), f"{parameter}.node": target.node,
                  f"{parameter}.siblings": target.siblings, f"{parameter}.pods": target.siblings,
                  f"{parameter}.workload": target.workload, f"{parameter}.kind": target.workload.kind if target.workload else ""}  # fmt: skip
    return bound


def _object(name: str, ref: ObjectRef) -> dict[str, str]:
    return {f"{name}.name": ref.name, f"{name}.namespace": ref.namespace, f"{name}.uid": ref.uid}


def arguments(kind: type[Step], written: Mapping[str, Any], bound: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of a step: references stay references, text becomes text."""
    types = {f.name: f.type for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    found = {}
    for key, value in written.items():
        field = key.replace("-", "_")
        found[field] = substitute(value, bound.__getitem__, text=types[field] in ("str", "tuple[str, ...]"))
    return found
