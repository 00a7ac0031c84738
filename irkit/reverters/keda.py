"""KEDA. A ScaledObject scales from 0 as soon as a trigger fires, unless it is paused at 0 (keda.sh, "Pausing autoscaling").

Asked for only where an HPA shows that KEDA is at work here: the read is on the hot path.
"""

from __future__ import annotations

from collections.abc import Iterator

from irkit.model.kube import Obj, ObjectRef, Resource, annotations_of, at, ref_of
from irkit.ports import ClusterReader
from irkit.reverters.base import Reverter, autoscalers, by_keda, listed, pausing

SCALEDOBJECTS = Resource("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject")
PAUSED_REPLICAS, PAUSED = "autoscaling.keda.sh/paused-replicas", "autoscaling.keda.sh/paused"


class Keda:
    kind = "keda"

    def find(self, ref: ObjectRef, obj: Obj, cluster: ClusterReader) -> Iterator[Reverter]:
        hinted = autoscalers(ref, cluster)
        if isinstance(hinted, Reverter) or not any(by_keda(h) for h in hinted):
            return
        found = listed(SCALEDOBJECTS, ref, cluster)
        if isinstance(found, Reverter):
            yield found
            return
        for scaled in found:
            target = at(scaled, ("spec", "scaleTargetRef")) or {}
            if (target.get("kind", "Deployment"), target.get("name")) == (ref.kind, ref.name):
                yield _reverter(scaled, ref)


def _reverter(scaled: Obj, ref: ObjectRef) -> Reverter:
    name, annotations = str(ref_of(scaled, SCALEDOBJECTS)), annotations_of(scaled)
    if annotations.get(PAUSED_REPLICAS) == "0":
        return Reverter(name=name, kind="keda", of=ref, effect=f"{name} of KEDA is paused at 0 replicas.")
    if annotations.get(PAUSED) == "true" and PAUSED_REPLICAS not in annotations:
        return Reverter(name=name, kind="keda", of=ref, effect=f"{name} of KEDA is paused at the number of replicas that there are.")
    effect = f'{name} of KEDA scales {ref} up again when a trigger fires; its annotation {PAUSED_REPLICAS}: "0" pauses it.'
    pause = pausing(ref_of(scaled, SCALEDOBJECTS), scaled, ("metadata", "annotations", PAUSED_REPLICAS), "0", name)
    return Reverter(name=name, kind="keda", of=ref, effect=effect, pause=pause, after=True, reverts=True)
