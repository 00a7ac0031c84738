"""What whoever noticed the incident says of it, made exact before anything is done."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import msgspec

from irkit.errors import UsageError
from irkit.model.incident import Reported
from irkit.text import nearest, printable

SEVERITIES = ("critical", "high", "medium", "low")
_UNITS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_PART = re.compile(r"(\d{1,6}(?:\.\d{1,3})?) ?(min|sec|[smhdw])", re.ASCII)
_AGO = re.compile(rf"(?:{_PART.pattern} ?)+ago", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)? ?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_LONGEST = 2000  # characters of a summary
_AHEAD = timedelta(minutes=5)  # that a clock may be wrong


def checked(said: Reported, now: datetime) -> Reported:
    """The same with one severity of four and the time as RFC 3339 in UTC. Raises UsageError."""
    if said.severity and said.severity not in SEVERITIES:
        near = nearest(said.severity, SEVERITIES)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(SEVERITIES)}"
        raise UsageError(f"--severity: no severity {printable(said.severity, 40)!r}{hint}")
    for name, text in (("--reported-by", said.by), ("--summary", said.summary)):
        if len(text) > _LONGEST:
            raise UsageError(f"{name} takes at most {_LONGEST} characters, not {len(text)}")
    return msgspec.structs.replace(said, started_at=moment(said.started_at, now) if said.started_at else "")


def moment(text: str, now: datetime) -> str:
    """RFC 3339 with a zone, or how long ago: ``2h ago``, ``1d 2h ago``. Returns RFC 3339, UTC. Raises UsageError."""
    word = text.strip() if len(text) < 100 else ""
    found: datetime | None
    try:
        if _AGO.fullmatch(word):
            seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(word.removesuffix("ago")))
            found = now - timedelta(seconds=seconds)
        elif _TIME.fullmatch(word):
            found = datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", word.replace(" ", "T", 1).replace(" ", ""))).astimezone(UTC)
        else:
            found = None
    except (ValueError, OverflowError):
        found = None
    if found is None:
        raise UsageError(f"--started-at takes a time with its zone, as in 2026-11-22T03:15:00Z, or '2h ago', not {printable(text, 60)!r}")
    if found > now + _AHEAD:
        raise UsageError(f"--started-at: {printable(text, 60)} has not come yet; it is {now:%Y-%m-%dT%H:%M:%SZ}")
    return found.isoformat(timespec="seconds").replace("+00:00", "Z")
