"""How often a rule may order: computed from the queue, so that it holds over restarts and for all processes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from irkit.listeners.web.rules.rule import Rule
from irkit.model.kube import PODS, Obj, ObjectRef
from irkit.model.order import Held
from irkit.ports import Clock, ClusterReader
from irkit.text import plural
from irkit.workloads import active, observe, owner_chain, workload_of

HOUR = 3600.0
_FRESH = 5.0  # seconds that what was read of a workload counts
_MOST = 256  # workloads that are remembered


def latest(rule: Rule, namespace: str, target: str, held: Sequence[Held]) -> Held | None:
    """The last order of that rule for that target."""
    found = [h for h in held if (h.order.rule, h.order.namespace, h.order.target) == (rule.name, namespace, target)]
    return max(found, key=lambda h: h.order.created, default=None)


def same(rule: Rule, last: Held, now: datetime) -> bool:
    """Whether an alert for its target is that order's still."""
    return not last.status.over or _age(last.order.created, now) < rule.window


def cooling(rule: Rule, last: Held, now: datetime) -> str:
    """Why there is no other order for that target yet; empty: there may be one."""
    passed = _age(last.status.changed, now)
    if not rule.cool_down or passed >= rule.cool_down:
        return ""
    return f"order {last.order.id} for it was over {max(passed, 0):.0f} s ago; the rule waits {rule.cool_down:.0f} s"


def often(rule: Rule, held: Sequence[Held], now: datetime) -> str:
    """Why the rule may not order once more within this hour."""
    count = sum(h.order.rule == rule.name and _age(h.order.created, now) < HOUR for h in held)
    return f"the rule made {plural(count, 'order')} within the last hour, which is its limit" if count >= rule.limits.per_hour else ""


def crowded(held: Sequence[Held], most: int) -> str:
    """Why no alert may order anything now; empty: it may. A quarter of the queue (``most``) is kept for people."""
    mine = sum(not h.status.over and h.order.origin.door == "webhook" for h in held)
    room = max(1, most - max(1, most // 4))
    return f"{plural(mine, 'order')} of alerts are open already, as many as may be: the rest of the queue is for people" if mine >= room else ""


def _age(then: str, now: datetime) -> float:
    return (now - datetime.fromisoformat(then)).total_seconds()


class Shares:
    """What part of a workload's pods orders are about."""

    def __init__(self, cluster: ClusterReader, clock: Clock) -> None:
        self._cluster, self._clock = cluster, clock
        self._read: dict[tuple[str, str], tuple[float, tuple[str, Sequence[Obj]]]] = {}

    def many(self, rule: Rule, namespace: str, target: str, held: Sequence[Held]) -> str:
        """Why one more pod of that workload would be too many; empty: it is not.

        A pod that was cut off is none of its workload's any more, but its name begins as theirs do (``generateName``).
        Raises UnreachableError, ForbiddenError, NotFoundError, ApiError.
        """
        if not rule.limits.percent:
            return ""
        if "/" in target:
            return f"the rule takes at most {rule.limits.percent} % of a workload's pods, and {target} is all of them"
        name, pods = self._workload(namespace, target)
        begins = {found for pod in pods if (found := pod["metadata"].get("generateName"))}
        ordered = {h.order.target for h in held if h.order.namespace == namespace and _counts(h, rule)}
        touched = {target, *(t for t in ordered if any(t.startswith(b) and "-" not in t[len(b) :] for b in begins))}
        if len(touched) * 100 <= rule.limits.percent * len(pods):
            return ""
        return f"{len(touched)} of {plural(len(pods), 'pod')} of {name} would be more than {rule.limits.percent} %"

    def _workload(self, namespace: str, target: str) -> tuple[str, Sequence[Obj]]:
        key, now = (namespace, target), self._clock.monotonic()
        if key not in self._read or now - self._read[key][0] > _FRESH:
            pod = self._cluster.get(ObjectRef(resource=PODS, name=target, namespace=namespace))
            workload = observe(workload_of(pod, owner_chain(pod, self._cluster)), self._cluster)
            self._read = {k: v for k, v in self._read.items() if now - v[0] <= _FRESH} if len(self._read) >= _MOST else self._read
            self._read[key] = (now, (str(workload.ref), active(workload.pods)))
        return self._read[key][1]


def _counts(held: Held, rule: Rule) -> bool:
    """What changes anything, whoever ordered it, and what this rule ordered; not what nobody wanted."""
    return (held.order.command != "collect" or held.order.rule == rule.name) and held.status.state not in ("declined", "expired")
