"""Schedules of CronJobs, read and counted as github.com/robfig/cron v3 does (ParseStandard), with its refusals."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

_MINUTE = timedelta(minutes=1)
_YEARS = 5
"""How far ahead a run is looked for: the 30th of February never comes."""
_DESCRIBED = {"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0", "@daily": "0 0 * * *",
              "@midnight": "0 0 * * *", "@hourly": "0 * * * *"}  # fmt: skip
_MONTHS = {name: n for n, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)}
_DAYS = {name: n for n, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


class BadSchedule(ValueError):
    """Why a text is no schedule, in the words of robfig/cron."""


class _Bounds(NamedTuple):
    low: int
    high: int
    names: dict[str, int]


_FIELDS = (_Bounds(0, 59, {}), _Bounds(0, 23, {}), _Bounds(1, 31, {}), _Bounds(1, 12, _MONTHS), _Bounds(0, 6, _DAYS))


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a CronJob is due. ``free``: a day field is a star, so that both must fit and not one; ``every``: instead of the fields."""

    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    free: bool = True
    every: timedelta | None = None

    def next(self, after: datetime, zone: tzinfo = UTC) -> datetime | None:
        """The first moment (UTC) later than ``after``; None where there is none in five years.

        By the clock of ``zone``: what falls into the hour that is skipped in spring does not happen, in the hour that comes twice it does so twice.
        """
        if self.every is not None:
            return after.astimezone(UTC).replace(microsecond=0) + self.every
        moment = after.astimezone(UTC).replace(second=0, microsecond=0) + _MINUTE
        last = moment.year + _YEARS
        while (local := moment.astimezone(zone)).year <= last:
            if local.month not in self.months or not self._on(local):
                tomorrow = local.date() + timedelta(days=1)
                moment = datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=zone).astimezone(UTC)
            elif local.hour not in self.hours:
                moment += (60 - local.minute) * _MINUTE
            elif local.minute not in self.minutes:
                moment += _MINUTE
            else:
                return moment
        return None

    def _on(self, local: datetime) -> bool:
        of_month, of_week = local.day in self.days, local.isoweekday() % 7 in self.weekdays
        return of_month and of_week if self.free else of_month or of_week


def parse(text: str) -> Schedule:
    """Raises BadSchedule."""
    if not text:
        raise BadSchedule("empty spec string")
    if text.startswith("@every "):
        return Schedule(every=_duration(text.removeprefix("@every ")))
    if text.startswith("@") and text not in _DESCRIBED:
        raise BadSchedule(f"unrecognized descriptor: {text}")
    words = _DESCRIBED.get(text, text).split()
    if len(words) != len(_FIELDS):
        raise BadSchedule(f"expected exactly {len(_FIELDS)} fields, found {len(words)}: [{' '.join(words)}]")
    minutes, hours, days, months, weekdays = (_field(word, bounds) for word, bounds in zip(words, _FIELDS, strict=True))
    return Schedule(minutes[0], hours[0], days[0], months[0], weekdays[0], free=days[1] or weekdays[1])


def zone_of(name: str | None) -> tzinfo:
    """The time zone of a CronJob, UTC without one. Raises ValueError with Go's words."""
    if not name or name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, KeyError, OSError):
        raise ValueError(f"unknown time zone {name}") from None


def _field(word: str, bounds: _Bounds) -> tuple[frozenset[int], bool]:
    numbers: set[int] = set()
    star = False
    for part in filter(None, word.split(",")):
        found, starred = _range(part, bounds)
        numbers |= found
        star |= starred
    return frozenset(numbers), star


def _range(part: str, bounds: _Bounds) -> tuple[set[int], bool]:
    """One of ``5``, ``1-5``, ``*``, ``?``, each with ``/STEP``; and whether it is a star."""
    span, *steps = part.split("/")
    ends = span.split("-")
    star = ends[0] in ("*", "?")
    low = bounds.low if star else _number(ends[0], bounds)
    high = bounds.high if star else low
    if not star and len(ends) == 2:
        high = _number(ends[1], bounds)
    elif not star and len(ends) > 2:
        raise BadSchedule(f"too many hyphens: {part}")
    if len(steps) > 1:
        raise BadSchedule(f"too many slashes: {part}")
    step = _number(steps[0]) if steps else 1
    if steps and len(ends) == 1:
        high = bounds.high
    if low < bounds.low:
        raise BadSchedule(f"beginning of range ({low}) below minimum ({bounds.low}): {part}")
    if high > bounds.high:
        raise BadSchedule(f"end of range ({high}) above maximum ({bounds.high}): {part}")
    if low > high:
        raise BadSchedule(f"beginning of range ({low}) beyond end of range ({high}): {part}")
    if step == 0:
        raise BadSchedule(f"step of range should be a positive number: {part}")
    return set(range(low, high + 1, step)), star and step == 1


def _number(text: str, bounds: _Bounds | None = None) -> int:
    if bounds is not None and text.lower() in bounds.names:
        return bounds.names[text.lower()]
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise BadSchedule(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    if int(text) < 0:
        raise BadSchedule(f"negative number ({int(text)}) not allowed: {text}")
    return int(text)


def _duration(text: str) -> timedelta:
    """A Go duration in whole seconds, one at least (``Every``)."""
    parts = re.findall(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ms|us|µs|ns|h|m|s)", text)
    if not parts or "".join(number + unit for number, unit in parts) != re.sub(r"^[+-]", "", text):
        raise BadSchedule(f'failed to parse duration @every {text}: time: invalid duration "{text}"')
    seconds = min(sum(float(number) * _UNITS[unit] for number, unit in parts), 9.2e9)  # as many as an int64 of nanoseconds holds
    return timedelta(seconds=max(1, -1 if text.startswith("-") else int(seconds)))
