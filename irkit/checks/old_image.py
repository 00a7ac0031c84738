"""Whether a pod anywhere in the cluster still runs the image that was replaced."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from irkit.checks.base import CheckResult
from irkit.credentials import cut_off
from irkit.errors import ForbiddenError
from irkit.model.image import digest_of, running
from irkit.model.incident import QUARANTINE_LABEL, Incident
from irkit.model.kube import PODS, Obj, ObjectRef, at, labels_of, ref_of
from irkit.ports import Observed
from irkit.text import plural, printable


class OldImage(msgspec.Struct, frozen=True):
    """Holds where no pod runs one of ``ids`` (imageIDs, digests). Pods that this incident put under quarantine are evidence, and don't
    count; others that say so of themselves do.

    Where a node tells no imageID, the pod's own words are compared: ``names`` are the images as they were written. Where
    not all namespaces may be listed, it is not known.
    """

    ids: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    name = "old-image"

    def judge(self, incident: Incident, ref: ObjectRef, seen: Observed) -> CheckResult:
        where, limited = "the cluster", ""
        try:
            pods = seen.cluster.list(PODS, None)
        except ForbiddenError as error:
            where, limited = f"namespace {printable(ref.namespace)}", error.message
            try:
                pods = seen.cluster.list(PODS, ref.namespace)
            except ForbiddenError as refused:
                return CheckResult(check=self.name, holds=None, summary=f"not known whether the old image still runs: {refused.message}")
        alive = [p for p in pods if at(p, ("status", "phase")) not in ("Succeeded", "Failed")]
        cut = cut_off(seen.begun)
        found = {str(ref_of(p, PODS)): line for p in alive if not _kept(p, incident, cut) for line in self._of(p)}
        silent = sum(not any(identity for _, _, identity in running(p)) for p in alive)
        text = f"the old image still runs in {where}: {plural(len(found), 'pod')}" if found else f"no pod in {where} runs the old image"
        if kept := sum(_kept(p, incident, cut) and bool(self._of(p)) for p in alive):
            text += f", but the {plural(kept, 'quarantined pod')}"
        if silent:
            text += f"; of {plural(silent, 'pod')} only the spec is known, because the node tells no imageID"
        if limited:
            text += f"; the other namespaces were not searched: {limited}"
        holds = False if found else None if limited else True
        return CheckResult(check=self.name, holds=holds, summary=text, findings=tuple(f"{pod}: {line}" for pod, line in list(found.items())[:50]),
                           data={"pods": sorted(found), "searched": len(alive), "withoutImageID": silent})  # fmt: skip

    def _of(self, pod: Obj) -> list[str]:
        digests = {d for i in (*self.ids, *self.names) if (d := digest_of(i))}
        return [printable(f"{name} runs {identity or image}", 300) for name, image, identity in running(pod)
                if (identity and (identity in self.ids or digest_of(identity) in digests))
                or digest_of(image) in digests or (not identity and image in self.names)]  # fmt: skip


def _kept(pod: Obj, incident: Incident, cut: Collection[str]) -> bool:
    ref = ref_of(pod, PODS)
    return incident.target.is_suspect(ref) or (ref.uid in cut and labels_of(pod).get(QUARANTINE_LABEL) == "true")
