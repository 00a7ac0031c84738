"""What the API server refuses of autoscalers (pkg/apis/autoscaling/validation) and of disruption budgets (pkg/apis/policy/validation).

Of an autoscaler's metrics and behavior nothing is looked at: nothing here acts on them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from irkit.model.kube import Obj
from irkit.sandbox.failures import Cause

_PERCENT = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"

_FROM_NOTHING = "must specify at least one Object or External metric to support scaling to zero replicas"


def autoscaler(spec: Obj) -> Iterator[Cause]:
    """validateHorizontalPodAutoscalerSpec. Raises TypeError for a number that is none."""
    least, most, target = _whole(spec.get("minReplicas", 1)), _whole(spec.get("maxReplicas", 0)), spec.get("scaleTargetRef") or {}
    if least < 1:
        yield Cause("spec.minReplicas", f"Invalid value: {least}: must be greater than or equal to 1")
    if least == 0:
        yield Cause("spec.metrics", f"Forbidden: {_FROM_NOTHING}", "FieldValueForbidden")
    if most < 1:
        yield Cause("spec.maxReplicas", f"Invalid value: {most}: must be greater than 0")
    if most < least:
        yield Cause("spec.maxReplicas", f"Invalid value: {most}: must be greater than or equal to `minReplicas`")
    for field in ("kind", "name"):
        if not target.get(field):
            yield Cause(f"spec.scaleTargetRef.{field}", "Required value", "FieldValueRequired")
        elif "/" in target[field]:
            yield Cause(f"spec.scaleTargetRef.{field}", f"Invalid value: \"{target[field]}\": may not contain '/'")
    version = target.get("apiVersion") or ""
    if not version.rpartition("/")[0]:
        yield Cause("spec.scaleTargetRef.apiVersion", f'Invalid value: "{version}": apiVersion must specify API group')


def budget(spec: Obj) -> Iterator[Cause]:
    """ValidatePodDisruptionBudgetSpec, without its selector. Raises TypeError for what is neither a number nor text."""
    given = {name: spec[name] for name in ("minAvailable", "maxUnavailable") if spec.get(name) is not None}
    if len(given) > 1:
        yield Cause("spec", f"Invalid value: {_shown(spec)}: minAvailable and maxUnavailable cannot be both set")
    for name, value in given.items():
        yield from _share(f"spec.{name}", value)


def _share(field: str, value: Any) -> Iterator[Cause]:
    if not isinstance(value, str):
        if _whole(value) < 0:
            yield Cause(field, f"Invalid value: {value}: must be greater than or equal to 0")
    elif not re.fullmatch(r"[0-9]+%", value):
        yield Cause(field, f'Invalid value: "{value}": {_PERCENT}')
    elif int(value[:-1]) > 100:
        yield Cause(field, f'Invalid value: "{value}": must not be greater than 100%')


def _whole(value: Any) -> int:
    if type(value) is not int or not -(2**31) <= value < 2**31:
        raise TypeError("not an int32")
    return value


def _shown(spec: Obj) -> str:
    """As the server's own type prints itself."""
    fields = ("minAvailable", "selector", "maxUnavailable", "unhealthyPodEvictionPolicy")
    return msgspec.json.encode({name[0].upper() + name[1:]: spec.get(name) for name in fields}).decode()
