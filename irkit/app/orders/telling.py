"""What an order's status says of a run: short, for chats and lists. No text of a log and no value is ever in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from irkit.engine.events import BagSealed, Collected, Collecting, Judged, StepBegan
from irkit.engine.events import Planned as PlannedEvent
from irkit.engine.result import RunResult
from irkit.model.changes import Capture, Check, digests
from irkit.model.order import Ended, Order, Planned
from irkit.model.titles import title
from irkit.ports import EvidenceStore
from irkit.text import plural, printable, size

_MOST = 40  # lines of a plan, and of what is missing
_WARNINGS = 10
_WIDTH = 300


def planned(event: PlannedEvent, order: Order) -> Planned:
    """A plan as people decide upon it. Where it is too long for a chat it says so, and how to see all of it."""
    changes = event.plan.changes
    lines = []
    for step in event.plan.steps:
        captures = [c for c in step.changes if isinstance(c, Capture)]
        lines += [f"collect the evidence of {plural(len(captures), 'pod')}"] if captures else []
        for change in step.changes:
            if change.writes and not isinstance(change, Capture | Check):
                ends = f"; ends {plural(len(change.ends), 'pod')}" if change.ends else ""
                lines.append(printable(" ".join(title(change).split()), _WIDTH) + ends)
    whole = printable(f"irkit {order.words} --dry-run", _WIDTH - 40)
    warnings = [printable(w, _WIDTH) for w in event.header.warnings]
    return Planned(digest=event.plan.digest, intents=digests(changes), lines=_cut(lines, _MOST, whole), warnings=_cut(warnings, _WARNINGS, whole))


def _cut(lines: Sequence[str], most: int, whole: str) -> tuple[str, ...]:
    """``whole``: the command that shows all of them."""
    return tuple(lines) if len(lines) <= most else (*lines[: most - 1], f"and {len(lines) - most + 1} more: {whole}")


def progress(event: object) -> str:
    """One line of what goes on; empty for what is too small to tell."""
    match event:
        case StepBegan():
            return f"step {event.id}"
        case Collecting():
            return f"collecting: {event.pods} of {plural(event.of, 'pod')}, {plural(event.artefacts, 'artefact')}, {size(event.octets)}"
        case Collected():
            return f"collected: {plural(event.artefacts, 'artefact')}, {size(event.octets)}, {plural(len(event.gaps), 'gap')}"
        case Judged():
            return printable(event.result.summary, _WIDTH)
        case BagSealed():
            return f"evidence sealed: {plural(event.bag.artefacts, 'artefact')}"
    return ""


def ended(result: RunResult, evidence: Callable[[str], EvidenceStore]) -> Ended:
    """The end of a run in short; where a copy of the evidence was put, the caller knows."""
    found = result.evidence
    missing = [printable(f"{m['what']}: {m['why']}", _WIDTH) for m in found.missing] if found else []
    bags = {Path(bag.path).name: bag for bag in evidence(result.incident).sealed()} if result.incident else {}
    first = bags.get(Path(found.bundle).name) if found and found.bundle else None
    summary = str(result.error["message"]) if result.error else _summary(result)
    return Ended(
        outcome=result.outcome, exit_code=result.exit_code, summary=printable(summary, 600), next=printable(result.next, 300),
        missing=tuple(missing[:_MOST]), missing_count=len(missing), artefacts=found.artefacts if found else 0,
        bundle=found.bundle or "" if found else "", manifest=first.manifest_sha256 if first else "",
    )  # fmt: skip


def _summary(result: RunResult) -> str:
    parts = []
    if result.isolation:
        parts.append(f"isolation: {result.isolation.get('verdict')} (enforcement {result.isolation.get('enforcement')})")
    parts += [f"{s.id}: {s.outcome}" for s in result.steps if s.outcome not in ("done", "unchanged", "pending", "")]
    if result.evidence and result.evidence.artefacts:
        parts.append(f"{plural(result.evidence.artefacts, 'artefact')} of evidence")
    return "; ".join(parts) or result.outcome
