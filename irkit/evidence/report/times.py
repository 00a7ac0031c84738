"""Moments and the time between them, for people. What is no time is left as it is."""

from __future__ import annotations

import re

from irkit.evidence.timeline import sortable

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d{1,3})?\d*(Z|[+-]\d\d:\d\d)", re.ASCII)


def day(at: str) -> str:
    found = _RFC3339.fullmatch(at)
    return found[1] if found else ""


def clock(at: str) -> str:
    """The time of day, to the millisecond where it is known; the zone where it is not UTC."""
    found = _RFC3339.fullmatch(at)
    return f"{found[2]}{found[3] or ''}{'' if found[4] == 'Z' else found[4]}" if found else at[:24]


def short(at: str) -> str:
    """The time of day to the second."""
    found = _RFC3339.fullmatch(at)
    return found[2] if found else at[:19]


def nanoseconds(at: str) -> int:
    """Since 1970; 0 for what is no time."""
    return sortable(at)[0]


def between(first: str, second: str) -> str:
    """``840 ms``, ``12.4 s``, ``13 min``, ``2 h 5 min``, ``4 d 3 h``; empty where one is no time, or it is negative."""
    start, end = nanoseconds(first), nanoseconds(second)
    return lasting((end - start) / 1e9) if start and end and end >= start else ""


def lasting(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
