"""Rotators, one file each; `ROTATORS` is all of them, the most particular first."""

from __future__ import annotations

from irkit.model.credential import Credential
from irkit.ports import Observed
from irkit.rotators.base import Before, Rotator, Tools
from irkit.rotators.manual import Manual

ROTATORS: tuple[Rotator, ...] = (Manual(),)

__all__ = ["ROTATORS", "Before", "Rotator", "Tools", "choose", "find"]


def choose(credential: Credential, seen: Observed) -> Rotator:
    """Who rotates it; the last one leaves it to a human."""
    return next(r for r in ROTATORS if r.takes(credential, seen))


def find(name: str) -> Rotator:
    """The rotator of that name. Raises KeyError: names come from plans and journals of irkit's own."""
    return {r.name: r for r in ROTATORS}[name]
