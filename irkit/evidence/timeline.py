"""When things happened, as far as a bag tells: events, starts and ends of containers, first and last lines of logs.

Times are the cluster's and the nodes', as written there; text is raw, and whoever shows it escapes it. A bag may have
been made to harm its reader: files are read in bounds, and what is not as expected is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from irkit.evidence.manifests import Unusable, open_regular
from irkit.evidence.paths import unescaped
from irkit.model.evidence import event_time
from irkit.model.kube import at, dicts

_LARGEST = 1 << 26  # bytes of a JSON file that is read
_TAIL = 1 << 16  # bytes at the end of a log in which its last line begins
_TIME = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) ")


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened. ``at`` is RFC 3339 as written; ``source`` is the file in the payload that says so."""

    at: str
    kind: str  # event | container | log
    subject: str
    text: str
    source: str


def timeline(data: Path, paths: Sequence[str]) -> tuple[Moment, ...]:
    """All moments of the payload in ``data``, the earliest first, each once. ``paths`` are relative to it."""
    found: dict[tuple[str, str, str, str], Moment] = {}
    for path in sorted(paths):
        for pattern, moments in _READERS:
            if pattern.fullmatch(path):
                for moment in moments(data / path, path):
                    if moment.at:
                        found.setdefault((moment.at, moment.kind, moment.subject, moment.text), moment)
    return tuple(sorted(found.values(), key=lambda m: (sortable(m.at), m.subject, m.text)))


def sortable(time: str) -> tuple[int, str]:
    """RFC 3339 with any precision and zone, so that it sorts by when it was: nanoseconds since 1970, then the text."""
    from datetime import UTC, datetime

    found = re.fullmatch(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)", time, re.ASCII)
    if not found:
        return 0, time
    try:
        moment = datetime.fromisoformat(found.group(1).upper() + ("+00:00" if found.group(3) in "Zz" else found.group(3)))
    except ValueError:
        return 0, time
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // _second()
    return seconds * 1_000_000_000 + int((found.group(2) or "").ljust(9, "0")), time


def _second() -> Any:
    from datetime import timedelta

    return timedelta(seconds=1)


def _events(file: Path, source: str) -> Iterator[Moment]:
    for event in dicts(at(_json(file), ("items",))):
        involved = at(event, ("involvedObject",), {})
        count = event.get("count") or at(event, ("series", "count")) or 1
        times = f" ({count} times)" if isinstance(count, int) and count > 1 else ""
        text = f"{_word(event, 'reason')}: {_word(event, 'message')}{times}"
        yield Moment(event_time(event), "event", f"{_word(involved, 'kind')} {_word(involved, 'name')}", text, source)


def _states(file: Path, source: str) -> Iterator[Moment]:
    pod = _json(file)
    name = f"Pod {at(pod, ('metadata', 'name'), '')}"
    yield Moment(str(at(pod, ("metadata", "creationTimestamp"), "")), "container", name, "created", source)
    for field in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        for status in dicts(at(pod, ("status", field))):
            yield from _runs(status, name, source)


def _runs(status: Mapping[str, Any], pod: str, source: str) -> Iterator[Moment]:
    subject = f"{pod}, container {_word(status, 'name')}"
    for when in ("lastState", "state"):
        yield Moment(str(at(status, (when, "running", "startedAt"), "")), "container", subject, "started", source)
        ended = at(status, (when, "terminated"), {})
        if ended:
            yield Moment(_word(ended, "startedAt"), "container", subject, "started", source)
            text = f"ended: {_word(ended, 'reason')}, exit code {_word(ended, 'exitCode')}"
            yield Moment(_word(ended, "finishedAt"), "container", subject, text, source)


def _log(file: Path, source: str) -> Iterator[Moment]:
    pod, container, run = source.split("/")[2:]
    subject = f"Pod {unescaped(pod)}, container {unescaped(container)}"
    try:
        with open_regular(file) as stream:
            first = _TIME.match(stream.readline(64))
            end = stream.seek(0, 2)
            stream.seek(max(0, end - _TAIL))
            last = [m for m in map(_TIME.match, stream.read(_TAIL).split(b"\n")[1 if end > _TAIL else 0 :]) if m]
    except (OSError, Unusable):
        return
    which = unescaped(run.removesuffix(".log"))
    for found, text in ((first, f"first line of the {which} log"), (last[-1] if last else None, f"last line of the {which} log")):
        if found:
            yield Moment(found.group(1).decode(), "log", subject, text, source)


def _json(file: Path) -> Any:
    """The document in a file; nothing where it is none, or too large."""
    try:
        with open_regular(file) as stream:
            content = stream.read(_LARGEST + 1)
        return msgspec.json.decode(content) if len(content) <= _LARGEST else {}
    except (OSError, Unusable, msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return {}


def _word(values: Any, key: str) -> str:
    value = values.get(key) if isinstance(values, dict) else None
    return "" if value is None else str(value)


_Reader = Callable[[Path, str], Iterator[Moment]]
_READERS: tuple[tuple[re.Pattern[str], _Reader], ...] = (
    (re.compile(r"(?:pods/[^/]+/[^/]+|namespaces/[^/]+|cluster/nodes/[^/]+)/events\.json"), _events),
    (re.compile(r"pods/[^/]+/[^/]+/pod\.json"), _states),
    (re.compile(r"pods/[^/]+/[^/]+/[^/]+/(?:current|previous)\.log"), _log),
)
