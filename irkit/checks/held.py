"""Whether what irkit wrote is still as it wrote it: pauses of autoscalers and GitOps, cordons, whatever a step patched."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from irkit.checks.base import CheckResult
from irkit.errors import IrkitError, NotFoundError
from irkit.model.changes import Patch
from irkit.model.edits import Edit, field_value
from irkit.model.incident import Incident
from irkit.model.kube import Obj, ObjectRef, at
from irkit.model.managers import managers_of
from irkit.ports import Observed
from irkit.text import plural, printable


class Held(msgspec.Struct, frozen=True):
    """Holds where every patch of the incident that is in force has its fields as they were written. Each change names who made it, if known.

    Those of the suspect itself are `untampered`'s.
    """

    name = "held"

    def judge(self, incident: Incident, ref: ObjectRef, seen: Observed) -> CheckResult:
        patches = [c for c in seen.begun if isinstance(c, Patch) and not c.forward and not c.ref.same(incident.target.pod)]
        findings, unknown = [], []
        for patch in patches:
            try:
                current = seen.cluster.get(patch.ref)
            except NotFoundError:
                findings.append(f"{patch.ref} is gone")
                continue
            except IrkitError as error:
                unknown.append(f"{patch.ref}: {error.message}")
                continue
            findings += _changed(patch, current)
        text = f"{plural(len(patches), 'change')} of irkit held" if patches else "irkit has no change in force besides the quarantine"
        if findings:
            text = f"what irkit changed was reverted: {plural(len(findings), 'finding')}"
        elif unknown:
            text = f"not known whether {plural(len(unknown), 'change')} of irkit held: {unknown[0]}"
        return CheckResult(check=self.name, holds=False if findings else None if unknown else True, summary=text, findings=tuple(findings))


def _changed(patch: Patch, current: Obj) -> Iterator[str]:
    for edit in patch.edits:
        if field_value(current, edit.path) != edit.after:
            yield f"{patch.ref} {printable('.'.join(edit.path))} is {printable(at(current, edit.path, '(none)'), 80)}{_by(edit, current)}"


def _by(edit: Edit, current: Obj) -> str:
    others = [m for m in managers_of(current, edit.path) if m.name != "irkit"]
    return printable(f": reverted by {max(others, key=lambda m: m.time).name}", 200) if others else ""
