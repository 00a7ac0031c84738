"""Posture checks, one file each; `CHECKS` is all of them."""

from __future__ import annotations

from irkit.checks.alive import Alive
from irkit.checks.base import CheckResult, PostureCheck
from irkit.checks.isolated import Isolated
from irkit.checks.pods_isolated import PodsIsolated
from irkit.checks.stopped import Stopped
from irkit.checks.untampered import Untampered
from irkit.errors import UsageError
from irkit.text import nearest, printable

CHECKS: tuple[PostureCheck, ...] = (Isolated(), PodsIsolated(), Stopped(), Alive(), Untampered())

__all__ = ["CHECKS", "CheckResult", "PostureCheck", "find"]


def find(name: str) -> PostureCheck:
    """The check of that name. Raises UsageError, with the nearest one."""
    found = next((c for c in CHECKS if c.name == name), None)
    if found is None:
        near = nearest(name, [c.name for c in CHECKS])
        raise UsageError(f"no check {printable(name)!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    return found
