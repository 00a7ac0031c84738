"""What happened when: the journal's lines and those moments of the cluster that matter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from irkit.app.incidents import said
from irkit.app.postmortem.record import Record
from irkit.evidence.report import times
from irkit.evidence.report.values import Act, Entry, Milestone, Tone
from irkit.evidence.timeline import Moment
from irkit.model.changes import Ask, Await, Capture, Change, Check, Notify, Patch, Rotate
from irkit.model.outcome import Declined, Done, Failed, Outcome, Skipped, reason, word
from irkit.model.record import Closed, Line, Pushed, Ran, Result, Sealed, StepEnded, Told
from irkit.model.titles import title
from irkit.text import plural

_MOST = 150  # moments of the cluster
# What an Event's reason says when something is wrong; of other pods than the suspect only these are shown.
_GRAVE = re.compile(r"(?i)(backoff|failed|unhealthy|oom|evict|kill|preempt|taint|error|exceeded)[^:]*:")


def entries(record: Record) -> tuple[tuple[Entry, ...], int]:
    """The timeline, the earliest first by one clock; and how many moments of the cluster are left out."""
    skew = record.state.incident.cluster.clock_skew or 0.0
    cluster, omitted = _cluster(record)
    found = [*_reported(record), *_journal(record), *cluster]

    def order(entry: Entry) -> int:  # those of one moment stay as they were written
        return times.nanoseconds(entry.at) - int(skew * 1e9 if entry.lane == "cluster" else 0)

    return tuple(sorted(found, key=order)), omitted


def _reported(record: Record) -> Iterator[Entry]:
    reported = record.state.reported
    if reported.started_at:
        by = f" by {reported.by}" if reported.by else ""
        yield Entry(reported.started_at, "people", f"suspected start, as reported{by}: {reported.summary or 'no summary'}")


def _journal(record: Record) -> Iterator[Entry]:
    for _, group in groupby(record.lines, key=lambda line: (line.at, _captured(record, line))):
        lines = list(group)
        if _captured(record, lines[0]):
            done = [line.body.outcome for line in lines if isinstance(line.body, Result)]
            failed = [o for o in done if isinstance(o, Failed)]
            yield Entry(lines[0].at, "irkit", f"evidence of {plural(len(done), 'pod')} collected" + (f"; {len(failed)} failed" if failed else ""),
                        tone="bad" if failed else "")  # fmt: skip
            continue
        for line in lines:
            yield from _line(record, line)


def _captured(record: Record, line: Line) -> bool:
    intent = record.state.intents.get(line.body.call) if isinstance(line.body, Result) else None
    return intent is not None and isinstance(intent.change, Capture)


def _line(record: Record, line: Line) -> Iterator[Entry]:
    match line.body:
        case Ran() as ran if ran.event == "start":
            yield Entry(line.at, "people", f"{record.by(ran.run)} ran irkit {ran.command}")
        case Ran() as ran if ran.event == "interrupted" or ran.exit_code:
            how = "interrupted" if ran.event == "interrupted" else f"ended with exit code {ran.exit_code}"
            yield Entry(line.at, "irkit", f"irkit {ran.command} {how}", tone="warn")
        case Result() as result if (intent := record.state.intents.get(result.call)) is not None:
            if not isinstance(intent.change, Await):
                undo = "lift: " if intent.purpose == "lift" else ""
                yield Entry(line.at, "people" if isinstance(intent.change, Ask) else "irkit", undo + _told(intent.change, result.outcome),
                            tone=_tone(intent.change, result.outcome))  # fmt: skip
        case StepEnded() as ended if isinstance(ended.outcome, Failed | Declined):
            yield Entry(line.at, "irkit", f"step {ended.step} {word(ended.outcome)}: {reason(ended.outcome)}", tone="bad")
        case Sealed() as sealed:
            yield Entry(line.at, "irkit", f"bag sealed: {plural(sealed.bag.artefacts, 'artefact')}")
        case Pushed() as pushed:
            yield Entry(line.at, "irkit", f"bag {pushed.bag} is in {pushed.url}, verified")
        case Closed() | Told() as body:
            yield Entry(line.at, "people", said(body), tone="good" if isinstance(body, Closed) and not body.left else "")
        case body if text := said(body):
            yield Entry(line.at, "people", text)


def _told(change: Change, outcome: Outcome) -> str:
    what = " ".join(title(change).split())
    if isinstance(outcome, Done) and not isinstance(change, Check | Ask | Notify | Rotate):
        return what
    why = reason(outcome)
    return f"{what}: {why}" if isinstance(outcome, Done) and why else f"{what}: {word(outcome)}" + (f", {why}" if why else "")


def _tone(change: Change, outcome: Outcome) -> Tone:
    if isinstance(outcome, Failed):
        return "bad"
    if isinstance(change, Check) and isinstance(outcome, Done):
        return {True: "good", False: "bad"}.get(bool(outcome.data.get("holds")), "") if outcome.data.get("holds") is not None else "warn"  # type: ignore[return-value]
    return "warn" if isinstance(outcome, Skipped | Declined) else ""


def _cluster(record: Record) -> tuple[list[Entry], int]:
    """Everything of the suspect, and what went wrong with others, each once over all bags."""
    pod = record.state.incident.target.pod
    found: dict[tuple[str, str, str], Entry] = {}
    every: set[tuple[str, str, str]] = set()
    for number, (_, contents) in enumerate(record.bags, 1):
        for moment in contents.moments if contents else ():
            key = (moment.at, moment.subject, moment.text)
            every.add(key)
            if _matters(moment, f"Pod {pod.name}"):
                tone: Tone = "warn" if _GRAVE.match(moment.text) or moment.text.startswith("ended") else ""
                found.setdefault(key, Entry(moment.at, "cluster", f"{moment.subject}: {moment.text}", f"bag {number}, {moment.source}", tone))
    shown = sorted(found.values(), key=lambda e: times.nanoseconds(e.at))[-_MOST:]
    return shown, len(every) - len(shown)


def _matters(moment: Moment, suspect: str) -> bool:
    if moment.subject == suspect or moment.subject.startswith(f"{suspect}, "):
        return True
    return bool(_GRAVE.match(moment.text)) or (moment.kind == "container" and moment.text.startswith("ended"))


def milestones(record: Record) -> tuple[Milestone, ...]:
    """The beginning, the turning points and the end, the earliest first."""
    state, found = record.state, []
    if state.reported.started_at:
        found.append(Milestone(state.reported.started_at, "Suspected start"))
    found.append(Milestone(state.incident.opened, "Opened"))
    for name, moments in (
        ("Cut off", cut(record)),
        ("Evidence sealed", [line.at for line in record.lines if isinstance(line.body, Sealed)]),
        ("Workload stopped", [at for at, _ in stops(record)]),
        ("Rotated", [at for at, c, o, _ in record.outcomes() if isinstance(c, Rotate) and c.stage == "renew" and isinstance(o, Done)][-1:]),
        ("Redeployed", [at for at, _ in record.patched("redeploy")]),
        ("Lifted", [line.at for line in record.lines if isinstance(line.body, Closed) and line.body.how.startswith("lifted")]),
        ("Closed", [line.at for line in record.lines if isinstance(line.body, Closed) and line.body.how.startswith("closed")]),
    ):
        found += [Milestone(at, name) for at in moments[:1]]
    return tuple(sorted(found, key=lambda m: times.nanoseconds(m.at)))


def cut(record: Record) -> list[str]:
    """When the pod was taken out of everything that selected it."""
    return [at for at, c, o, _ in record.outcomes() if isinstance(c, Patch) and c.action == "relabel" and isinstance(o, Done) and not c.restores][:1]


def stops(record: Record) -> list[tuple[str, Patch]]:
    """Workloads that irkit stopped, and when."""
    state = record.state
    done = [(state.times[c], i) for c, i in state.intents.items() if i.purpose == "do" and isinstance(state.results.get(c), Done)]
    return [(at, i.change) for at, i in done if isinstance(i.change, Patch) and i.change.action in ("scale", "suspend") and not i.change.restores]


def acts(record: Record) -> tuple[Act, ...]:
    """Everything that was changed, told or answered, and who ran irkit or decided."""
    found = []
    for at, change, outcome, run in record.outcomes():
        if isinstance(change, Check | Await | Capture):
            continue
        tone: Tone = "bad" if isinstance(outcome, Failed) else "warn" if isinstance(outcome, Skipped | Declined) else ""
        why = reason(outcome)
        found.append(Act(at, record.by(run), " ".join(title(change).split()), word(outcome) + (f": {why}" if why and why != word(outcome) else ""),
                         tone))  # fmt: skip
    who = record.state.incident.operator.name
    for line in record.lines:
        if isinstance(line.body, Ran):
            who = record.by(line.body.run)
        elif not isinstance(line.body, Result | StepEnded | Sealed) and (text := said(line.body)):
            found.append(Act(line.at, who, text, "on record"))
    return tuple(sorted(found, key=lambda a: times.nanoseconds(a.at)))


def unknown(record: Record) -> list[str]:
    """Changes that were begun and of which nobody knows how they ended."""
    return [
        " ".join(title(i.change).split())
        for c, i in record.state.intents.items()
        if c not in record.state.results and not isinstance(i.change, Check)
    ]
