"""One request of a Vault client, and what it is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from irkit.model.kube import Obj

MERGE_PATCH = "application/merge-patch+json"
_OPERATIONS = {"GET": "read", "HEAD": "read", "POST": "update", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "LIST": "list"}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Asked:
    """``path`` is what follows ``/v1/``, decoded."""

    method: str
    path: str
    body: Mapping[str, Any] = field(default_factory=dict)
    token: str = field(default="", repr=False)
    namespace: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"

    @property
    def operation(self) -> str:
        """As policies name it; whether an update creates, the engine knows."""
        if self.method == "GET" and self.query.get("list", "").lower() in ("true", "1"):
            return "list"
        return _OPERATIONS.get(self.method, "")


@dataclass(frozen=True, slots=True)
class Told:
    """An answer. ``data`` and what stands beside it go into Vault's envelope, ``plain`` is the whole body."""

    data: Obj | None = None
    code: int = 200
    lease_id: str = ""
    lease_duration: int = 0
    auth: Obj | None = None
    warnings: list[str] | None = None
    beside: bool = False  # the fields of ``data`` once more next to the envelope's: what `sys/` does for old clients
    plain: Obj | None = None

    def body(self, request_id: str) -> Obj | None:
        if self.plain is not None:
            return self.plain
        if self.code == 204 or (self.code == 404 and self.data is None and not self.warnings):
            return None
        envelope = {"request_id": request_id, "lease_id": self.lease_id, "renewable": bool(self.lease_id), "lease_duration": self.lease_duration,
                    "data": self.data, "wrap_info": None, "warnings": self.warnings, "auth": self.auth}  # fmt: skip
        return {**(self.data or {}), **envelope} if self.beside else envelope


NOTHING = Told(code=204)


class Now(Protocol):
    """Whoever knows the time."""

    def now(self) -> datetime: ...


class Refused(Exception):
    """An answer of ``{"errors": […]}``."""

    def __init__(self, code: int, *errors: str) -> None:
        super().__init__(str(code), *errors)
        self.told = Told(code=code, plain={"errors": list(errors)})


def wrapped(code: int, why: str) -> Refused:
    """As Vault prints what it calls a multi-error of one."""
    return Refused(code, f"1 error occurred:\n\t* {why}\n\n")


def missing() -> Refused:
    return Refused(404)


def unsupported_path() -> Refused:
    return wrapped(404, "unsupported path")


def unsupported_operation() -> Refused:
    return wrapped(405, "unsupported operation")


def stamp(moment: datetime) -> str:
    """RFC 3339 with the fraction that Go prints: no trailing zeros."""
    whole = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{moment.microsecond:06}".rstrip("0")
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"


def seconds(given: Any, default: int = 0) -> int:
    """A duration as Vault reads it: a number of seconds, or ``90s``, ``20m``, ``1h``. Raises Refused 400."""
    if given in (None, ""):
        return default
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    parts = re.findall(r"(\d+)([smhd]?)", str(given))
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != str(given):
        raise Refused(400, f"error converting input for field: time: invalid duration {given!r}")
    return sum(int(number) * _UNITS.get(unit, 1) for number, unit in parts)
