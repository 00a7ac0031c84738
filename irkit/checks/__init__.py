"""Posture checks, one file each. `CHECKS` judge by the object alone; `GIVEN` are told something besides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from irkit.checks.alive import Alive
from irkit.checks.base import CheckResult, PostureCheck
from irkit.checks.endpoints import Endpoints
from irkit.checks.held import Held
from irkit.checks.http import Http
from irkit.checks.image import AsWished
from irkit.checks.in_git import InGit
from irkit.checks.isolated import Isolated
from irkit.checks.job import JobEnded
from irkit.checks.old_image import OldImage
from irkit.checks.pods_isolated import PodsIsolated
from irkit.checks.ready import Ready
from irkit.checks.rotated import Rotated
from irkit.checks.scanned import Scanned
from irkit.checks.signed import Signed
from irkit.checks.steady import Steady
from irkit.checks.stopped import Stopped
from irkit.checks.tcp import Tcp
from irkit.checks.untampered import Untampered
from irkit.errors import UsageError
from irkit.text import nearest, printable

CHECKS: tuple[PostureCheck, ...] = (Isolated(), PodsIsolated(), Stopped(), Alive(), Untampered(), Held(), Ready(), Endpoints(), Rotated(), JobEnded())
GIVEN: Mapping[str, type[Any]] = {c.name: c for c in (AsWished, OldImage, Steady, Http, Tcp, Scanned, Signed, InGit)}

__all__ = ["CHECKS", "GIVEN", "CheckResult", "PostureCheck", "find"]


def find(name: str, given: Mapping[str, Any] = {}) -> PostureCheck:
    """The check of that name, told what is ``given``. Raises UsageError, with the nearest one."""
    found = next((c for c in CHECKS if c.name == name), None)
    if found is not None:
        return found
    if name not in GIVEN:
        near = nearest(name, [*(c.name for c in CHECKS), *GIVEN])
        raise UsageError(f"no check {printable(name)!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    made: PostureCheck = msgspec.convert(dict(given), GIVEN[name])
    return made
