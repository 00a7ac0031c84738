"""What an incident can be held to now: which checks apply, to which object, and what each is told. Pure, over what the journal says is in force."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from irkit import workloads
from irkit.model.changes import Change, Patch, Rotate, images
from irkit.model.incident import Incident
from irkit.model.kube import PODS, ObjectRef

OF_POD = ("isolated", "alive", "untampered")
ALL = ("isolated", "pods-isolated", "stopped", "alive", "untampered", "held", "ready", "image", "old-image", "steady", "endpoints", "rotated")


class Wanted(msgspec.Struct, frozen=True):
    """One check to make. ``about`` tells several of a kind apart."""

    check: str
    ref: ObjectRef
    about: str = ""
    given: dict[str, Any] = {}


def wanted(names: Collection[str], incident: Incident, begun: Sequence[Change], *, pod: ObjectRef | None, stopping: bool) -> Iterator[Wanted]:
    """The checks among ``names`` that apply, in the order of `ALL`.

    ``pod``: the suspect that is to be judged; None: none is. ``stopping``: whether the workload should be stopped as long as
    nothing brought it back.
    """
    patches = [c for c in begun if isinstance(c, Patch)]
    stopped = {p.ref for p in patches if not p.forward and not p.ref.same(incident.target.pod) and workloads.kind_of(p.ref.resource) is not None}
    redeployed = {p.ref.uid: p for p in patches if p.action == "redeploy"}  # the last of each
    back = {uid: p for uid, p in redeployed.items() if p.ref not in stopped}
    others = [p for p in patches if not p.forward and p.ref not in stopped and not p.ref.same(incident.target.pod)]
    force: Mapping[str, Sequence[Change]] = {
        "held": others, "rotated": [c for c in begun if isinstance(c, Rotate) and c.stage == "renew"],
        "pods-isolated": [p for p in patches if p.action == "relabel" and not p.ref.same(incident.target.pod)],
    }  # fmt: skip
    for name in ALL:
        if name not in names:
            continue
        if name in OF_POD and pod is not None and pod.resource == PODS:
            yield Wanted(name, pod)
        elif name == "stopped" and (workload := incident.target.stoppable) is not None and (stopping or workload in stopped):
            if workload.uid not in back:
                begun_anew = redeployed.get(workload.uid)
                yield Wanted(name, workload, given=_given("image", begun_anew, incident) if begun_anew else {})
        elif force.get(name):
            yield Wanted(name, incident.target.pod)
        elif name in ("ready", "image", "old-image", "steady", "endpoints"):
            several = len(back) > 1
            for patch in back.values():
                yield Wanted(name, patch.ref, str(patch.ref) if several else "", _given(name, patch, incident))


def _given(name: str, patch: Patch, incident: Incident) -> dict[str, Any]:
    if name == "image":
        return {"images": {container: new for container, _, new in images(patch)}}
    if name != "old-image":
        return {}
    replaced = {container: old for container, old, _ in images(patch)}
    ids = {c.image_id for c in incident.target.containers if c.name in replaced and c.image_id}
    return {"ids": sorted(ids), "names": sorted(set(replaced.values()))}
