"""Whether what stands in Git would bring back another image, once GitOps goes on."""

from __future__ import annotations

import msgspec

from irkit.checks.base import CheckResult
from irkit.model.incident import Incident
from irkit.model.kube import Obj, ObjectRef, annotations_of, at
from irkit.ports import Observed, exists
from irkit.text import printable

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class InGit(msgspec.Struct, frozen=True):
    """Holds where the last configuration that was applied names ``image`` already. Git itself is never read: else it is not known."""

    image: str
    containers: tuple[str, ...] = ()
    by: tuple[str, ...] = ()

    name = "in-git"

    def judge(self, incident: Incident, ref: ObjectRef, seen: Observed) -> CheckResult:
        named = _applied(exists(seen.cluster, ref) or {}, self.containers)
        who = printable(", ".join(self.by), 300)
        if named == {self.image}:
            return CheckResult(check=self.name, holds=True, summary=f"what {who} applied last names {printable(self.image, 200)}")
        old = f"Git names {printable(', '.join(sorted(named)), 300)}, as far as the cluster shows" if named else "what Git names is not known here"
        return CheckResult(check=self.name, holds=None, summary=f"{old}: once {who} is no longer paused, it brings back the image that stands in Git")


def _applied(obj: Obj, containers: tuple[str, ...]) -> set[str]:
    """The images of these containers in the annotation that client-side apply leaves (also Argo CD's)."""
    try:
        applied = msgspec.json.decode(annotations_of(obj).get(APPLIED, ""))
    except (msgspec.DecodeError, RecursionError):
        return set()
    spec = at(applied, ("spec", "jobTemplate", "spec", "template", "spec")) or at(applied, ("spec", "template", "spec")) or {}
    found = [c for field in ("initContainers", "containers") for c in at(spec, (field,)) or () if isinstance(c, dict)]
    return {str(c.get("image")) for c in found if c.get("name") in containers}
