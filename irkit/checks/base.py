"""What a posture check is."""

from __future__ import annotations

from typing import Any, Protocol

from irkit.model.incident import Incident
from irkit.model.kube import ObjectRef, Value
from irkit.ports import Observed


class CheckResult(Value, frozen=True):
    """``holds`` None: not known, and ``summary`` says why. ``summary`` and ``findings`` are lines for people, ``data`` is for RunResult."""

    check: str
    holds: bool | None
    summary: str
    findings: tuple[str, ...] = ()
    data: dict[str, Any] = {}


class PostureCheck(Protocol):
    """Judges by reading only. What may not be read is ``holds`` None; other errors of the cluster are raised."""

    @property
    def name(self) -> str:
        """isolated | stopped | alive | untampered."""

    def judge(self, incident: Incident, ref: ObjectRef, seen: Observed) -> CheckResult:
        """``ref`` is the pod; for ``stopped`` the workload. Raises UnreachableError, ApiError."""
