"""HorizontalPodAutoscalers. One is off while the scale is exactly 0, unless its own minimum is 0 (horizontal.go)."""

from __future__ import annotations

from collections.abc import Iterator

from irkit.model.kube import HPAS, Obj, ObjectRef, at, ref_of
from irkit.ports import ClusterReader
from irkit.reverters.base import Reverter, autoscalers, by_keda


class Hpa:
    kind = "hpa"

    def find(self, ref: ObjectRef, obj: Obj, cluster: ClusterReader) -> Iterator[Reverter]:
        found = autoscalers(ref, cluster)
        if isinstance(found, Reverter):
            yield found
            return
        for autoscaler in found:
            if not by_keda(autoscaler):
                yield _reverter(autoscaler, ref)


def _reverter(autoscaler: Obj, ref: ObjectRef) -> Reverter:
    name = str(ref_of(autoscaler, HPAS))
    low, high = at(autoscaler, ("spec", "minReplicas"), 1), at(autoscaler, ("spec", "maxReplicas"), "?")
    effect = f"{name} ({low}..{high}) is off while replicas are 0, and overwrites any other number."
    if low == 0:
        effect = f"{name} ({low}..{high}) may scale {ref} up from 0: its minimum is 0."
    return Reverter(name=name, kind="hpa", of=ref, effect=effect)
