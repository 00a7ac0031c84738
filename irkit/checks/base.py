"""What a posture check is."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from irkit.model.incident import Incident
from irkit.model.kube import ObjectRef, Value
from irkit.ports import Observed


class CheckResult(Value, frozen=True):
    """``holds`` None: not known, and ``summary`` says why. ``summary`` is a line for people, ``data`` for RunResult."""

    check: str
    holds: bool | None
    summary: str
    findings: tuple[str, ...] = ()
    data: dict[str, Any] = {}


class PostureCheck(Protocol):
    name: Literal["isolated", "stopped", "alive", "untampered"] | str

    def judge(self, incident: Incident, ref: ObjectRef, seen: Observed) -> CheckResult: ...
