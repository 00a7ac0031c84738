"""Prove that the end states hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from irkit.model.arguments import Pod
from irkit.model.changes import Change, Check
from irkit.model.incident import Incident
from irkit.model.plan import Confirm
from irkit.ports import Observed

Name = Literal["isolated", "stopped", "alive", "untampered"]


@dataclass(frozen=True, slots=True)
class Verify:
    """End state: each of ``checks`` was judged in this invocation, and what was found is on record."""

    kind: ClassVar[str] = "verify"
    confirm: ClassVar[Confirm] = "never"

    pod: Pod
    checks: tuple[Name, ...] = ("isolated", "stopped", "alive", "untampered")

    def plan(self, incident: Incident, seen: Observed) -> Iterator[Change]:
        for name in self.checks:
            ref = incident.target.stoppable if name == "stopped" else self.pod
            if ref is None or (name == "stopped" and incident.keep_workload):
                continue
            check = Check(check=name, ref=ref, step=seen.step, run=seen.run)
            if check.mark not in seen.marks:
                yield check

    def notes(self, incident: Incident, seen: Observed) -> Iterator[str]:
        return iter(())
