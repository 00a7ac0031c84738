"""The post-mortem of an incident, drafted from its journal and its bags: without a cluster, and nothing invented."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from irkit import API_VERSION, __version__
from irkit.app.closing import Left, damaged, left
from irkit.app.postmortem import findings, moments, tasks
from irkit.app.postmortem.record import Record
from irkit.engine.home import Home
from irkit.errors import EvidenceError, UsageError
from irkit.evidence import report as rendering
from irkit.evidence.disk import make_private, write_file
from irkit.evidence.report.values import Report
from irkit.evidence.store import BagStore
from irkit.ports import Clock
from irkit.settings import Settings
from irkit.text import printable


def draft(record: Record, now: datetime) -> Report:
    """Everything that the record says, and what it can't say as questions."""
    state, incident = record.state, record.state.incident
    undone = _left(record)
    entries, omitted = moments.entries(record)
    return Report(
        incident=incident.id, title=f"{incident.target.pod}", status=state.status, severity=state.severity,
        drafted=now.isoformat(timespec="seconds").replace("+00:00", "Z"), tool=f"irkit {__version__}", figures=findings.figures(record),
        facts=findings.facts(record), summary=findings.summary(record), left=tuple(one.what for one in undone), milestones=moments.milestones(record),
        entries=entries, omitted=omitted, skew=findings.skew(record), impact=findings.impact(record), acts=moments.acts(record),
        target=str(incident.target.pod), reached=findings.reached(record), reach_known=bool(record.radius), rotated=findings.rotated(record),
        bags=findings.bags(record), gaps=findings.gaps(record), causes=tasks.causes(record), answers=tasks.answers(record),
        lessons=tasks.lessons(record, undone), tasks=tasks.tasks(record),
    )  # fmt: skip


def _left(record: Record) -> list[Left]:
    if record.state.closed.startswith("closed"):
        return []
    return [*left(record.state, BagStore(record.directory)), *damaged(record.state, record.settings)]


def write(settings: Settings, clock: Clock, identifier: str | None, directory: Path | None = None) -> dict[str, Any]:
    """Write both files, beside the journal or into ``directory``, and say where. A draft that is there already is kept.

    Raises UsageError, EvidenceError where the disk refuses.
    """
    home = Home(settings.home)
    identifier = identifier or next(iter(home.ids()), None)
    if identifier is None:
        raise UsageError("there are no incidents on this machine", next="irkit contain POD -n NAMESPACE")
    record = Record.of(settings, identifier)
    found = draft(record, clock.now())
    place = (directory or home.directory(identifier) / "reports").expanduser().absolute()
    files = _stored(place, identifier, {"html": rendering.html(found, record.state.incident.cluster.clock_skew or 0.0),
                                        "md": rendering.markdown(found)})  # fmt: skip
    following = f"irkit incident close {identifier}" if not found.left and not record.state.closed else _next(record)
    return {
        "apiVersion": API_VERSION, "kind": "IncidentReport", "incident": identifier, "status": found.status, "html": str(files["html"]),
        "markdown": str(files["md"]), "timeline": len(found.entries), "tasks": len(found.tasks), "left": list(found.left), "next": following,
    }  # fmt: skip


def _next(record: Record) -> str:
    undone = _left(record)
    return undone[0].next if undone else f"irkit incident show {record.state.incident.id}"


def _stored(place: Path, identifier: str, texts: dict[str, str]) -> dict[str, Path]:
    """Both under the first name that neither has: what somebody has written into a draft is not overwritten."""
    try:
        if not place.is_dir():
            make_private(place)
        number = next(n for n in range(1, 10_000) if not any((place / _named(identifier, n, kind)).exists() for kind in texts))
        files = {kind: place / _named(identifier, number, kind) for kind in texts}
        for kind, path in files.items():
            write_file(path, texts[kind].encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise EvidenceError(f"the report can't be written to {printable(place, 500)}: {error.strerror or os.strerror(error.errno or 0)}") from None
    return files


def _named(identifier: str, number: int, kind: str) -> str:
    return f"{identifier}{f'-{number}' if number > 1 else ''}.{kind}"
