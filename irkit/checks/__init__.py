"""Posture checks, one file each. `CHECKS` are those of a containment, whose start must be quick; all others are imported when one is looked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import msgspec

from irkit.checks.alive import Alive
from irkit.checks.base import CheckResult, PostureCheck
from irkit.checks.isolated import Isolated
from irkit.checks.stopped import Stopped
from irkit.checks.untampered import Untampered
from irkit.errors import UsageError
from irkit.text import nearest, printable

CHECKS: tuple[PostureCheck, ...] = (Isolated(), Stopped(), Alive(), Untampered())
LATER: Mapping[str, tuple[str, str]] = {
    "pods-isolated": ("pods_isolated", "PodsIsolated"),
    "held": ("held", "Held"), "ready": ("ready", "Ready"), "image": ("image", "AsWished"), "old-image": ("old_image", "OldImage"),
    "steady": ("steady", "Steady"), "endpoints": ("endpoints", "Endpoints"), "rotated": ("rotated", "Rotated"), "http": ("http", "Http"),
    "tcp": ("tcp", "Tcp"), "job": ("job", "JobEnded"), "scanned": ("scanned", "Scanned"), "signed": ("signed", "Signed"),
    "in-git": ("in_git", "InGit"),
}  # fmt: skip
"""By name: module and class. What a check is told besides the object are the fields of its class."""

__all__ = ["CHECKS", "LATER", "CheckResult", "PostureCheck", "find"]


def find(name: str, given: Mapping[str, Any] = {}) -> PostureCheck:
    """The check of that name, told what is ``given``. Raises UsageError, with the nearest one."""
    found = next((c for c in CHECKS if c.name == name), None)
    if found is not None:
        return msgspec.convert(dict(given), type(found)) if given else found
    if name not in LATER:
        near = nearest(name, [*(c.name for c in CHECKS), *LATER])
        raise UsageError(f"no check {printable(name)!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    module, kind = LATER[name]
    made: PostureCheck = msgspec.convert(dict(given), getattr(importlib.import_module(f"irkit.checks.{module}"), kind))
    return made
