"""What a person reads: the header, the plan, one line for each thing that happened, the outcome, the next command."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from irkit.cli.output import Out
from irkit.engine import events
from irkit.engine.header import Header
from irkit.model.changes import Await, Capture, Change, Check, Create, Notify
from irkit.model.incident import Target
from irkit.model.kube import PODS
from irkit.model.outcome import Declined, Failed, Skipped, Unchanged, reason
from irkit.model.plan import Plan, PlannedStep
from irkit.model.titles import title
from irkit.text import plural, printable, size


def header(out: Out, head: Header, now: datetime) -> None:
    """Where we are and what is there."""
    incident, target = head.incident, head.incident.target
    cluster, who = incident.cluster, incident.operator
    _field(out, "cluster", f"{printable(cluster.context) or '(no context)'} ({printable(cluster.server)})  uid {cluster.uid or 'not known'}")
    _field(out, "you", printable(who.name) + (f" (groups: {printable(', '.join(who.groups))})" if who.groups else ""))
    _field(out, target.pod.kind.lower()[:10], _pod(target, now) if target.is_pod else _subject(target))
    for container in target.containers:
        digest = f"  {printable(container.image_id.rpartition('@')[2])}" if "@" in container.image_id else ""
        kind = "" if container.kind == "container" else f" ({container.kind})"
        _field(out, "image", f"{printable(container.image)}{kind}{digest}")
    if target.owners:
        chain = " ← ".join(f"{o.kind} {printable(o.name)}" for o in target.owners)
        _field(out, "owner", chain + (f" ({head.workload})" if head.workload else ""))
    elif target.workload is not None and target.workload.resource == PODS:
        _field(out, "owner", "none: a bare pod")
    if target.service_account and target.is_pod:
        _field(out, "account", printable(target.service_account))
    if target.is_pod and not target.gone:
        _field(out, "policies", f"{len(head.policies)} select it" + (f": {printable(', '.join(head.policies))}" if head.policies else ""))
    for warning in head.warnings:
        out.line(f"  ! {warning}", style="yellow", hang=4)
    out.line()


def _field(out: Out, name: str, text: str) -> None:
    out.line(f"  {name:<10} {text}", hang=13)


def _pod(target: Target, now: datetime) -> str:
    name = f"{target.pod.namespace}/{target.pod.name}"
    if target.gone:
        return printable(f"{name}   gone")
    restarts = sum(c.restarts for c in target.containers)
    parts = [
        printable(name),
        printable(target.node or "not on a node"),
        f"{printable(target.phase) or 'phase not known'}, {plural(restarts, 'restart')}",
    ]
    return "   ".join(parts) + (f", {age(target.created, now)}" if target.created else "")


def _subject(target: Target) -> str:
    """An object that is no pod, and how many pods it concerns."""
    where = f"{target.pod.namespace}/" if target.pod.namespace else ""
    word = {"Node": "on it", "Namespace": "in it"}.get(target.pod.kind, "using it")
    return printable(f"{where}{target.pod.name}{'   gone' if target.gone else ''}   {plural(len(target.siblings), 'pod')} {word}", 600)


def age(created: str, now: datetime) -> str:
    """How long ago, in the largest unit that fits: ``4 d``."""
    try:
        seconds = (now - datetime.fromisoformat(created)).total_seconds()
    except ValueError:
        return "age not known"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"


def plan(out: Out, planned: Plan) -> None:
    """One line a change, numbered over the run, and where it asks again."""
    number, phase = 0, ""
    for step in planned.steps:
        if step.phase != phase and any(_lines(step)):
            phase = step.phase
            out.line(f"  {phase}", style="dim")
        if step.asks_itself and step.writes:
            out.line("  asked again before", style="dim")
        for text in _lines(step):
            number += 1
            out.line(f"  {number:>2}  {text}", hang=14)
    if not number:
        out.line("  nothing to do: the end state holds already")
    out.line()


def _lines(step: PlannedStep) -> list[str]:
    captures = [c for c in step.changes if isinstance(c, Capture)]
    lines = [f"collect {plural(len(captures), 'pod')}: {', '.join(captures[0].take)}"] if captures else []
    checks = [c.check for c in step.changes if isinstance(c, Check)]
    for change in step.changes:
        if not isinstance(change, Capture | Check | Await):
            ends = f"   ends {plural(len(change.ends), 'pod')}" if change.ends else ""
            why = f"   {change.why}" if isinstance(change, Create) else ""
            lines.append(title(change) + ends + why)
    if checks and step.step == "verify":
        lines.append(f"verify  {', '.join(checks)}")
    return lines


class Progress:
    """A listener that tells what happens, one line each."""

    def __init__(self, out: Out, quiet: bool = False) -> None:
        self.out, self.quiet = out, quiet
        self._redrawn = False
        self._incident = self._verdict = ""  # what was said of them last
        self.over = ""  # the incident whose run is over

    def __call__(self, event: object) -> None:
        if isinstance(event, events.Over):
            self.over = event.incident
        elif isinstance(event, events.Judged) and event.result.check == "isolated" and event.result.summary != self._verdict:
            self._clear()
            self._verdict = event.result.summary
            self.out.line(f"verdict: {self._verdict}", style="green" if event.result.holds else "red")
            self._found(() if self.quiet else event.result.findings)
        elif not self.quiet:
            self._clear()
            self._tell(event)

    def _tell(self, event: object) -> None:
        match event:
            case events.Planned():
                header(self.out, event.header, datetime.fromisoformat(event.header.incident.opened))
                if not event.dry_run and self._incident != event.header.incident.id:
                    self.out.line(f"Incident {event.header.incident.id}", style="bold")
                    self.out.line()
                plan(self.out, event.plan)
            case events.LiftPlanned():
                self.out.line(f"Incident {event.incident.id}")
                plan(self.out, event.plan)
            case events.Joined():
                self._incident = event.incident.id
                self.out.line(f"Incident {event.incident.id} is open on this {event.incident.target.pod.kind.lower()}; going on with it.")
                self.out.line()
            case events.Judged():
                self._judged(event)
            case events.ChangeEnded():
                self._change(event.change, event)
            case events.Collecting():
                self._progress(event)
            case events.Collected():
                self._collected(event)
            case events.StepEndedEvent():
                self._step(event)
            case events.BagSealed():
                self.out.line(f"  sealed, with what was seen before and the journal so far: {size(event.bag.octets)}")
            case events.Said():
                self.out.line(f"  {event.text}", style="yellow" if event.level == "warning" else "")

    def _judged(self, event: events.Judged) -> None:
        result = event.result
        mark = {True: "holds", False: "does not hold", None: "not known"}[result.holds]
        self.out.line(f"  {result.check:<10} {mark}: {result.summary}", style="" if result.holds else "red", hang=13)
        if result.check != "isolated":  # what it found stands below the verdict already
            self._found(result.findings)

    def _found(self, findings: Sequence[str]) -> None:
        for finding in findings:
            self.out.line(f"    {finding}", hang=6)

    def _change(self, change: Change, event: events.ChangeEnded) -> None:
        if isinstance(change, Check):
            return
        if isinstance(change, Await):
            what, text = str(change.ref), reason(event.outcome)
        else:
            what = title(change)
            text = "created" if isinstance(change, Create) else ""
        if isinstance(event.outcome, Unchanged | Skipped):
            text = event.outcome.why
        elif isinstance(change, Notify):
            text = reason(event.outcome)
        self.out.line(f"  {event.at[11:23]}  {what}" + (f"  {printable(text, 400)}" if text else ""),
                      style="yellow" if isinstance(event.outcome, Skipped) else "", hang=16)  # fmt: skip

    def _step(self, event: events.StepEndedEvent) -> None:
        if isinstance(event.outcome, Failed):
            self.out.line(f"  step {event.id} failed: {event.outcome.error}", style="red", hang=4)
        elif isinstance(event.outcome, Declined | Skipped):
            self.out.line(f"  step {event.id}: {reason(event.outcome)}", style="yellow", hang=4)

    def _progress(self, event: events.Collecting) -> None:
        if self.out.redraws and event.of > 1:
            text = f"  collecting {event.pods}/{event.of} pods, {event.artefacts} artefacts, {size(event.octets)}"
            print(f"\r{text[: self.out.width - 1]}", end="", file=self.out.stream, flush=True)
            self._redrawn = True

    def _clear(self) -> None:
        if self._redrawn:
            print("\r\x1b[2K", end="", file=self.out.stream)
            self._redrawn = False

    def _collected(self, event: events.Collected) -> None:
        what = f"collected {plural(event.pods, 'pod')}, {plural(event.artefacts, 'artefact')}, {size(event.octets)} in {event.seconds:.1f} s"
        self.out.line(f"  {what}")
        for gap in event.gaps[:10]:
            self.out.line(f"    not got: {printable(gap.what, 120)} ({printable(gap.why, 200)})", hang=6)
        if len(event.gaps) > 10:
            self.out.line(f"    and {len(event.gaps) - 10} more; the bundle lists them")
