"""From wishes to missing changes: the steps of a playbook, bound to an incident, against one look at the cluster."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from irkit import steps
from irkit.engine import bindings
from irkit.engine.parameters import REFERENCE
from irkit.errors import RefusedError, UsageError
from irkit.model.changes import Capture
from irkit.model.evidence import VITAL
from irkit.model.incident import Incident
from irkit.model.kube import ObjectRef
from irkit.model.plan import Plan, PlannedStep, StepSpec
from irkit.model.playbook import Parameter
from irkit.ports import Observed
from irkit.steps.base import Step
from irkit.text import plural


class BoundStep(msgspec.Struct, frozen=True):
    """A step of a playbook whose parameters are the bound names of one incident."""

    spec: StepSpec
    step: Step

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def asks_itself(self) -> bool:
        """Whether it has a question of its own, right before it, besides the one for the whole run."""
        return self.spec.confirm == "ask"


def bind_steps(specs: Sequence[StepSpec], parameter: Parameter | None, incident: Incident) -> tuple[BoundStep, ...]:
    """The steps, with what ``${...}`` stands for in this incident. ``parameter``: the playbook's target.

    Raises UsageError where a step needs something that this target does not have; of a pod that is gone, such steps
    fall away, and so do those of `left_out`.
    """
    names, bound = bindings.names(parameter, incident), []
    waiting = {spec.id for spec, _ in left_out(specs, incident)}
    for spec in specs:
        if spec.id in waiting:
            continue
        kind = steps.find(spec.step)
        values = bindings.arguments(kind, spec.arguments, names)
        absent = next((name for name, value in values.items() if value is None), None)
        if absent is None:
            bound.append(BoundStep(spec, kind(**values)))
        elif not incident.target.gone:
            raise UsageError(f"step {spec.id}: {incident.target.pod} has no {absent}")
    return tuple(bound)


def left_out(specs: Sequence[StepSpec], incident: Incident) -> tuple[tuple[StepSpec, str], ...]:
    """The steps that wait for a parameter which nobody has given yet, each with its name: ``${image}`` before there is one.

    A step that needs one of these waits with it.
    """
    absent = {name for name, value in incident.parameters.items() if value is None}
    found: dict[str, tuple[StepSpec, str]] = {}
    for spec in specs:
        named = [match[1] for value in spec.arguments.values() if isinstance(value, str) and (match := REFERENCE.fullmatch(value))]
        name = next((n for n in named if n in absent), None) or next((found[n][1] for n in spec.needs if n in found), None)
        if name:
            found[spec.id] = (spec, name)
    return tuple(found.values())


def plan_step(bound: BoundStep, incident: Incident, seen: Observed, *, noted: bool = False) -> PlannedStep:
    """What this step would do now; ``noted``: with what people should know before they say yes to it. Reads only."""
    seen = msgspec.structs.replace(seen, step=bound.id)
    changes = tuple(bound.step.plan(incident, seen))
    notes = tuple(bound.step.notes(incident, seen)) if noted else ()
    return PlannedStep(bound.id, bound.step.kind, bound.spec.phase, changes, bound.spec.confirm or bound.step.confirm, notes,
                       getattr(bound.step, "without_evidence", ""), bound.asks_itself)  # fmt: skip


def plan_all(bound: Sequence[BoundStep], incident: Incident, seen: Observed, *, waived: bool = False) -> Plan:
    """All steps against the world as it is; what depends on an earlier step is an expectation until that step is done.

    Raises RefusedError where a change would end pods whose evidence neither is stored nor comes first.
    """
    planned = tuple(plan_step(step, incident, seen, noted=True) for step in bound)
    captured = set(seen.captured)
    for step in planned:
        captured |= captures(step)
        if not (waived or step.waiver) and (lost := uncollected(step, captured)):
            raise unsafe(step.id, lost)
    return Plan(planned)


def captures(step: PlannedStep) -> frozenset[str]:
    """The pods of which this step takes all that is vital before it does anything else."""
    return frozenset(c.pod.uid for c in step.changes if isinstance(c, Capture) and set(VITAL) <= set(c.take))


def uncollected(step: PlannedStep, captured: set[str] | frozenset[str]) -> tuple[ObjectRef, ...]:
    """The pods that a change of this step ends though nothing of them is stored."""
    return tuple(pod for change in step.changes for pod in change.ends if pod.uid not in captured)


def unsafe(step: str, lost: Sequence[ObjectRef]) -> RefusedError:
    names = ", ".join(str(p) for p in lost[:5])
    return RefusedError(f"step {step} would end {plural(len(lost), 'pod')} before anything of them is collected: {names}",
                        next="collect first, or say why not: --without-evidence REASON")  # fmt: skip
