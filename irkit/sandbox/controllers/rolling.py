"""How many pods of the new and of the old ReplicaSets there may be: pkg/controller/deployment/rolling.go, as pure functions."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from irkit.model.kube import Obj, at


class Bounds(NamedTuple):
    """Pods wanted, at most above it, and at most not available of it."""

    wanted: int
    surge: int
    unavailable: int

    @property
    def least(self) -> int:
        """Available pods that must stay."""
        return max(0, self.wanted - self.unavailable)


def bounds(deployment: Obj) -> Bounds:
    """ResolveFenceposts of pkg/controller/deployment/util: surge rounds up, unavailable down, and both can't be 0."""
    wanted, rolling = at(deployment, ("spec", "replicas"), 1), at(deployment, ("spec", "strategy", "rollingUpdate"), {})
    if at(deployment, ("spec", "strategy", "type")) == "Recreate":
        return Bounds(wanted, 0, 0)
    surge = scaled(rolling.get("maxSurge", "25%"), wanted, up=True)
    unavailable = scaled(rolling.get("maxUnavailable", "25%"), wanted, up=False)
    return Bounds(wanted, surge, unavailable if surge or unavailable else 1)


def scaled(value: Any, whole: int, *, up: bool) -> int:
    """A count, or a percentage of ``whole``."""
    if isinstance(value, str) and value.endswith("%"):
        part = whole * int(value[:-1]) / 100
        return math.ceil(part) if up else math.floor(part)
    return int(value)


def size(replicaset: Obj) -> int:
    return int(at(replicaset, ("spec", "replicas"), 1))


def available(replicaset: Obj) -> int:
    return int(at(replicaset, ("status", "availableReplicas"), 0))


def size_of_new(limits: Bounds, new: Obj, old: list[Obj]) -> int:
    """NewRSNewReplicas."""
    now = size(new)
    if now >= limits.wanted:
        return limits.wanted
    room = limits.wanted + limits.surge - now - sum(size(rs) for rs in old)
    return min(limits.wanted, now + max(0, room))


def sizes_of_old(limits: Bounds, new: Obj, old: list[Obj]) -> list[int]:
    """What is left of each old one, oldest first: what is not available goes first (cleanupUnhealthyReplicas), then as many as may."""
    sizes = [size(rs) for rs in old]
    spare = size(new) + sum(sizes) - limits.least - (size(new) - available(new))
    if spare <= 0:
        return sizes
    for n, rs in enumerate(old):
        unhealthy = min(spare, max(0, sizes[n] - available(rs)))
        sizes[n], spare = sizes[n] - unhealthy, spare - unhealthy
    spare = min(spare, available(new) + sum(available(rs) for rs in old) - limits.least)
    for n in range(len(sizes)):
        gone = min(max(0, spare), sizes[n])
        sizes[n], spare = sizes[n] - gone, spare - gone
    return sizes
