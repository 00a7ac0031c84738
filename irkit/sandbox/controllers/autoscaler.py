"""HorizontalPodAutoscalers (`autoscaling/v2`), after pkg/controller/podautoscaler.

Nobody measures here: how busy all pods are together is said by the annotation `LOAD` of the autoscaler or of its target, in percent of
what one replica is meant to bear (250: two are too few, three are enough). Without it the load is just right for what there is.
``behavior`` is not looked at: the defaults hold (twice as many at once, or four; five minutes until fewer).
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import NamedTuple

from irkit.model.kube import Obj, annotations_of, at
from irkit.sandbox.catalog import HPAS, Served
from irkit.sandbox.clock import stamp
from irkit.sandbox.controllers import events, owners
from irkit.sandbox.store import Store

LOAD = "sandbox.irkit.dev/load"
PERIOD = timedelta(seconds=15)
"""From one look to the next (``--horizontal-pod-autoscaler-sync-period``)."""
TOLERANCE = 0.1
STABLE = timedelta(minutes=5)
"""For so long the highest recommendation counts before replicas are taken away."""
_COMPONENT = "horizontal-pod-autoscaler"
_METRIC = "cpu resource utilization (percentage of request)"


class _Scaled(NamedTuple):
    """An autoscaler and what it scales."""

    store: Store
    autoscaler: Obj
    served: Served
    target: Obj

    @property
    def current(self) -> int:
        return int(at(self.target, ("spec", "replicas"), 1))

    @property
    def least(self) -> int:
        return int(at(self.autoscaler, ("spec", "minReplicas"), 1))

    @property
    def most(self) -> int:
        return int(at(self.autoscaler, ("spec", "maxReplicas"), 1))

    @property
    def load(self) -> int:
        """In percent of one replica's; without a word of it, just right for what there is."""
        for obj in (self.autoscaler, self.target):
            said = annotations_of(obj).get(LOAD, "").removesuffix("%")
            if said.isdecimal() and len(said) < 8:
                return int(said)
        return 100 * self.current


class Autoscalers:
    """The controller. It looks at each autoscaler when it first sees it and then every `PERIOD`, whatever happens in between."""

    def __init__(self) -> None:
        self._looked: dict[str, datetime] = {}
        self._wanted: dict[str, list[tuple[datetime, int]]] = {}

    def reconcile(self, store: Store) -> None:
        for autoscaler in store.all(HPAS):
            meta = autoscaler["metadata"]
            last = self._looked.get(meta["uid"])
            if "deletionTimestamp" in meta:
                continue
            if last is None or store.now() >= last + PERIOD:
                self._looked[meta["uid"]] = last = store.now()
                self._look(store, autoscaler)
            store.wake(last + PERIOD)

    def _look(self, store: Store, autoscaler: Obj) -> None:
        status = autoscaler.get("status") or {}
        conditions = {c["type"]: c for c in status.get("conditions") or ()}
        found = _target(store, autoscaler)
        if isinstance(found, str):
            events.note(store, HPAS, autoscaler, "Warning", "FailedGetScale", found, _COMPONENT)
            why = f"the HPA controller was unable to get the target's current scale: {found}"
            _say(store, conditions, "AbleToScale", False, "FailedGetScale", why)
            owners.set_status(
                store, HPAS, autoscaler, {"desiredReplicas": 0, "currentMetrics": None, **status, "conditions": list(conditions.values())}
            )
            return
        scaled = _Scaled(store, autoscaler, *found)
        _say(store, conditions, "AbleToScale", True, "SucceededGetScale", "the HPA controller was able to get the target's current scale")
        current = scaled.current
        wanted, reason = self._want(scaled, conditions)
        if wanted != current:
            _rescale(scaled, conditions, wanted, reason)
        counts = {"currentReplicas": current} if current else {}
        moved = stamp(store.now()) if wanted != current else status.get("lastScaleTime")
        new = {**counts, "desiredReplicas": wanted, "currentMetrics": _metrics(scaled) if current and not _out_of_bounds(scaled) else None,
               **({"lastScaleTime": moved} if moved else {}), "conditions": list(conditions.values())}  # fmt: skip
        owners.set_status(store, HPAS, autoscaler, new)

    def _want(self, scaled: _Scaled, conditions: dict[str, Obj]) -> tuple[int, str]:
        """How many replicas there should be, and why another number than there are."""
        store, current = scaled.store, scaled.current
        if current == 0 and scaled.least != 0:
            why = "scaling is disabled since the replica count of the target is zero"
            _say(store, conditions, "ScalingActive", False, "ScalingDisabled", why)
            return 0, ""
        if current > scaled.most:
            return scaled.most, "Current number of replicas above Spec.MaxReplicas"
        if current < scaled.least:
            return scaled.least, "Current number of replicas below Spec.MinReplicas"
        why = f"the HPA was able to successfully calculate a replica count from {_METRIC}"
        _say(store, conditions, "ScalingActive", True, "ValidMetricFound", why)
        ratio = scaled.load / 100 / max(1, current)
        proposed = current if abs(ratio - 1) <= TOLERANCE else math.ceil(scaled.load / 100)
        reason = f"{_METRIC} above target" if proposed > current else "All metrics below target"
        return self._normal(scaled, conditions, proposed), reason

    def _normal(self, scaled: _Scaled, conditions: dict[str, Obj], proposed: int) -> int:
        """normalizeDesiredReplicas: not fewer than was wanted a while ago, not too many at once, within the limits."""
        store, now, uid = scaled.store, scaled.store.now(), scaled.autoscaler["metadata"]["uid"]
        recent = [(when, count) for when, count in self._wanted.get(uid, [(now, scaled.current)]) if when >= now - STABLE]
        self._wanted[uid] = [*recent, (now, proposed)]
        stable = max(count for _, count in self._wanted[uid])
        if stable != proposed:
            why = "recent recommendations were higher than current one, applying the highest recent recommendation"
            _say(store, conditions, "AbleToScale", True, "ScaleDownStabilized", why)
        else:
            _say(store, conditions, "AbleToScale", True, "ReadyForNewScale", "recommended size matches current size")
        wanted, reason, why = _limited(scaled, stable)
        _say(store, conditions, "ScalingLimited", wanted != stable, reason, why)
        return wanted


def _target(store: Store, autoscaler: Obj) -> tuple[Served, Obj] | str:
    """What is to be scaled, or why it can't be."""
    reference = at(autoscaler, ("spec", "scaleTargetRef"), {})
    kind, name, version = (str(reference.get(key, "")) for key in ("kind", "name", "apiVersion"))
    served = store.catalog.of(version, kind)
    if served is None:
        group = version.rpartition("/")[0]
        return f'no matches for kind "{kind}" in group "{group}"'
    if "scale" not in served.subresources:
        return "the server could not find the requested resource"
    found = store.get(served, autoscaler["metadata"]["namespace"], name)
    return (served, found) if found is not None else f'{served.qualified} "{name}" not found'


def _limited(scaled: _Scaled, wanted: int) -> tuple[int, str, str]:
    """convertDesiredReplicasWithRules."""
    at_once = max(2 * scaled.current, 4)
    highest = min(scaled.most, at_once)
    if wanted < scaled.least:
        return scaled.least, "TooFewReplicas", "the desired replica count is less than the minimum replica count"
    if wanted > highest and scaled.most > at_once:
        return highest, "ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate"
    if wanted > highest:
        return highest, "TooManyReplicas", "the desired replica count is more than the maximum replica count"
    return wanted, "DesiredWithinRange", "the desired count is within the acceptable range"


def _rescale(scaled: _Scaled, conditions: dict[str, Obj], wanted: int, reason: str) -> None:
    changed = {**scaled.target, "spec": {**scaled.target["spec"], "replicas": wanted}}
    scaled.store.replace(scaled.served, changed, subresource="scale")
    why = f"the HPA controller was able to update the target scale to {wanted}"
    _say(scaled.store, conditions, "AbleToScale", True, "SucceededRescale", why)
    message = f"New size: {wanted}; reason: {reason}"
    events.note(scaled.store, HPAS, scaled.autoscaler, "Normal", "SuccessfulRescale", message, _COMPONENT)


def _out_of_bounds(scaled: _Scaled) -> bool:
    """Whether the number alone decides, so that nothing is measured."""
    return not scaled.least <= scaled.current <= scaled.most


def _metrics(scaled: _Scaled) -> list[Obj]:
    """What was measured, by the metrics that are a share of a resource."""
    found = []
    for metric in at(scaled.autoscaler, ("spec", "metrics"), []):
        target = at(metric, ("resource", "target", "averageUtilization"))
        if isinstance(target, int):
            share = target * scaled.load // (100 * scaled.current)
            found.append(
                {"type": "Resource", "resource": {"name": at(metric, ("resource", "name"), "cpu"), "current": {"averageUtilization": share}}}
            )
    return found


def _say(store: Store, conditions: dict[str, Obj], kind: str, holds: bool, reason: str, message: str) -> None:
    """As setConditionInList: the time moves with the status."""
    known = conditions.get(kind)
    moved = known["lastTransitionTime"] if known is not None and known["status"] == str(holds) else stamp(store.now())
    conditions[kind] = {"type": kind, "status": str(holds), "lastTransitionTime": moved, "reason": reason, "message": message}
