"""A playbook as it was written: checked, not yet bound to anything in a cluster."""

from __future__ import annotations

import hashlib
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from irkit.errors import UsageError
from irkit.model.plan import StepSpec
from irkit.text import nearest, printable

Severity = Literal["critical", "high", "medium", "low"]
Approval: TypeAlias = Literal["one-person", "two-person", "two-person-after-containment"]
Phase = Literal["detection", "containment", "investigation", "eradication", "recovery", "post-mortem"]
ParameterType: TypeAlias = Literal[
    "pod", "workload", "secret", "serviceaccount", "namespace", "node", "image", "string", "integer", "duration", "boolean"
]

PHASES: tuple[str, ...] = get_args(Phase)
"""The documented six, in the order in which they run."""
TARGETS: tuple[str, ...] = ("pod", "workload", "secret", "serviceaccount", "namespace", "node")
"""The types of a parameter that the TARGET of the command line fills."""


class Parameter(msgspec.Struct, frozen=True):
    """What a playbook asks for when it is run: its TARGET (a type of `TARGETS`), or a ``-p name=value``."""

    name: str
    type: ParameterType
    required: bool = False
    default: Any = None  # of the parameter's type (a duration in seconds); None: there is none
    help: str = ""


class Playbook(msgspec.Struct, frozen=True):
    """A list of wished end states, in the order of the phases. ``source`` is the file, byte for byte."""

    name: str
    title: str
    severity: Severity
    runbook: str
    steps: tuple[StepSpec, ...]
    references: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    approval: Approval = "one-person"  # how many people it takes where a chat or an alert asks for it
    source: bytes = b""
    path: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of the source, in hex."""
        return hashlib.sha256(self.source).hexdigest()

    @property
    def target(self) -> Parameter | None:
        """The parameter that the TARGET of the command line fills; a playbook has at most one."""
        return next((p for p in self.parameters if p.type in TARGETS), None)

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases that have steps, in order."""
        used = {step.phase for step in self.steps}
        return tuple(p for p in PHASES if p in used)

    def of(self, phase: str) -> tuple[StepSpec, ...]:
        """The steps of one phase, or of several joined by commas; of all where ``phase`` is empty.

        Raises UsageError where it has no such phase.
        """
        wanted = phase.split(",") if phase else self.phases
        for name in wanted:
            if name not in self.phases:
                near = nearest(name, self.phases)
                hint = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(self.phases)}"
                raise UsageError(f"playbook {printable(self.name)} has no phase {printable(name, 60)!r}{hint}")
        return tuple(s for s in self.steps if s.phase in wanted)

    def both(self, phase: str, other: str) -> str:
        """The phases of two runs together, in order; empty: all."""
        wanted = {*phase.split(","), *other.split(",")}
        return "" if "" in wanted or wanted >= set(self.phases) else ",".join(p for p in PHASES if p in wanted)
