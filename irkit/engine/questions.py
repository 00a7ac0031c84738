"""The questions a person is asked: short, with the names and numbers that matter."""

from __future__ import annotations

from collections.abc import Sequence

from irkit.model.changes import Capture, Change, Create, Delete, Patch, Rotate
from irkit.model.incident import Incident
from irkit.model.plan import PlannedStep
from irkit.model.titles import title
from irkit.text import plural, printable


def for_run(incident: Incident, steps: Sequence[PlannedStep]) -> str:
    """One question for all steps that have none of their own."""
    parts = []
    changes = [c for s in steps for c in s.changes]
    if any(isinstance(c, Create) or (isinstance(c, Patch) and c.action == "relabel") for c in changes):
        cut = [c for c in changes if isinstance(c, Patch) and c.action == "relabel"]
        parts.append(f"cut off {printable(incident.target.pod.name) if incident.target.is_pod else plural(len(cut), 'pod')}")
    if any(isinstance(c, Capture) for c in changes):
        parts.append("collect evidence")
    parts += _phrases([c for c in changes if isinstance(c, Delete | Rotate) or (isinstance(c, Patch) and c.action != "relabel")])
    text = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts) or "go on"
    return text[0].upper() + text[1:] + f" in {_where(incident)}?"


def for_step(step: PlannedStep, waived: frozenset[str] = frozenset()) -> str:
    """The question right before one step. ``waived``: uids of pods that may end without their evidence."""
    text = ", ".join(_phrases(step.changes)) or f"run step {step.id}"
    ended = [p for c in step.changes for p in c.ends]
    lost = sum(p.uid in waived for p in ended)
    kept = f"{lost} of them without their evidence" if lost else "all collected"
    after = f" Ends {plural(len(ended), 'pod')}, {kept}." if ended else ""
    return f"{text[0].upper()}{text[1:]}?{after}"


def for_lift(incident: Incident, step: PlannedStep) -> str:
    """The question before a lift, whose plan has just been shown."""
    ended = {p.uid for c in step.changes for p in c.ends}
    after = (
        f" One of {plural(len(ended), 'pod')} may end, all collected."
        if len(ended) > 1
        else " The pod ends; its evidence is sealed."
        if ended
        else ""
    )
    return f"Lift the containment of {printable(incident.target.pod.name)} in {_where(incident)}?{after}"


def _where(incident: Incident) -> str:
    return f"{printable(incident.target.namespace) or 'all namespaces'} of {printable(incident.cluster.context)}"


def _phrases(changes: Sequence[Change]) -> list[str]:
    """One phrase a write; of what comes in bulk, which the plan above has listed, one for all."""
    rotated = [c for c in changes if isinstance(c, Rotate) and c.stage == "renew"]
    restarted = [c for c in changes if isinstance(c, Patch) and c.action == "restart"]
    bulk = [f"rotate {plural(len(rotated), 'credential')}"] if rotated else []
    bulk += [f"restart {plural(len(restarted), 'workload')} wave by wave"] if restarted else []
    return bulk + [_phrase(c) for c in changes if c.writes and not isinstance(c, Rotate) and c not in restarted]


def _phrase(change: Change) -> str:
    return " ".join(title(change).split())
