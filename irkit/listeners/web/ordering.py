"""From an alert that fits a rule to an order, or to the sentence that says why there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from irkit.app.orders.queue import compose, submit
from irkit.engine import library, parameters, subjects
from irkit.engine.binder import parse
from irkit.engine.journal import stamp
from irkit.errors import IrkitError, NotFoundError, QueueFullError, RefusedError, UsageError
from irkit.listeners.web import limits
from irkit.listeners.web.rules.rule import Rule, fits
from irkit.listeners.web.seen import Seen
from irkit.model.alert import Alert
from irkit.model.kube import PODS, Value
from irkit.model.order import DRY_RUN, Ended, Held, Order, Origin, Status
from irkit.ports import Clock, ClusterReader
from irkit.ports.orders import Orders
from irkit.settings import Settings
from irkit.text import printable

MOST_RECORDS = 1000  # of dry runs in the queue
_STALE = 1.0  # seconds that what was read of the queue counts for limits
FULL, OUT = 30, 10  # seconds after which a sender may come again: queue full, queue out


class Outcome(Value, frozen=True):
    """What became of one alert by one rule. Exactly one of ``order``, ``ignored`` and ``error`` says it."""

    alert: str
    rule: str = ""
    order: str = ""  # the id
    new: bool = False
    dry_run: bool = False
    ignored: str = ""
    error: str = ""  # the sender should come again
    retry_after: int = 0


class Wanted(msgspec.Struct, frozen=True):
    """An alert that fits a rule, and what the order would be about."""

    alert: Alert
    rule: Rule
    sender: str  # who was verified
    namespace: str
    target: str

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.rule.name, self.namespace, self.target)


def wanted(alert: Alert, rule: Rule, sender: str) -> Wanted | Outcome:
    """What is to be ordered; or why nothing is, as far as that needs nobody to be asked."""
    takes = rule.run.takes
    said = Outcome(alert=alert.name, rule=rule.name)
    try:
        target = _target(alert, rule)
    except UsageError as error:
        return msgspec.structs.replace(said, ignored=error.message)
    namespace = {"node": "default", "namespace": target}.get(takes) or alert.namespace  # nodes are in no namespace
    if not target or not namespace:
        return msgspec.structs.replace(said, ignored=f"the alert names no {'namespace' if target else takes}")
    never = next((n for n in (namespace, alert.namespace) if n and rule.limits.never and fits(n, rule.limits.never)), "")
    if never:
        return msgspec.structs.replace(said, ignored=f"the rule orders nothing in namespace {printable(never, 63)}")
    return Wanted(alert, rule, sender, namespace, target)


def _target(alert: Alert, rule: Rule) -> str:
    """Empty where the alert names none; one spelling for one object, by which it is known again. Raises UsageError."""
    takes = rule.run.takes
    if rule.run.target:
        found = str(parameters.substitute(rule.run.target, _values(alert), text=True))
    else:
        names = {"pod": alert.pod or alert.workload, "workload": alert.workload, "node": alert.node, "namespace": alert.namespace}
        found = names.get(takes, "")
    if not found:
        return ""
    wanted = parse(found, None, takes)
    return wanted.name if wanted.resource is PODS or takes in subjects.RESOURCES else f"{wanted.resource.kind.lower()}/{wanted.name}"


def _counting(rule: Rule, held: Sequence[Held]) -> Sequence[Held]:
    """What counts for the rule's limits: what a dry run recorded was never done, and counts for dry runs alone."""
    return held if rule.dry_run else [h for h in held if not h.recorded]


def _values(alert: Alert) -> dict[str, str]:
    values = {f"alert.{part}": str(getattr(alert, part)) for part in ("source", "name", "severity", "namespace", "pod", "node")}
    return {name: value for name, value in values.items() if value}


class Clerk:
    """Makes orders, one at a time. It may wait for the cluster."""

    def __init__(
        self, orders: Orders, seen: Seen, cluster: ClusterReader, uid: Callable[[], str], settings: Settings, clock: Clock, wake: Callable[[], None]
    ) -> None:
        """``uid``: of the cluster; it may raise UnreachableError."""
        self._orders, self._seen, self._uid, self._settings, self._clock, self._wake = orders, seen, uid, settings, clock, wake
        self._shares = limits.Shares(cluster, clock)

    def take(self, want: Wanted) -> Outcome:
        """Never raises: what can't be done is said."""
        said = Outcome(alert=want.alert.name, rule=want.rule.name)
        try:
            return self._take(want, said)
        except QueueFullError as error:
            return msgspec.structs.replace(said, error=error.message, retry_after=FULL)
        except (UsageError, RefusedError, NotFoundError) as error:
            return msgspec.structs.replace(said, ignored=printable(error.message.split("\n")[0], 300))
        except IrkitError as error:
            return msgspec.structs.replace(said, error=printable(error.message, 300), retry_after=OUT)

    def _take(self, want: Wanted, said: Outcome) -> Outcome:
        rule, now = want.rule, self._clock.now()
        held = _counting(rule, self._seen.within(_STALE))
        last = limits.latest(rule, want.namespace, want.target, held)
        if last is not None and limits.same(rule, last, now):
            return msgspec.structs.replace(said, order=last.order.id, dry_run=last.recorded)
        why = (limits.cooling(rule, last, now) if last is not None else "") or limits.often(rule, held, now)
        if why := why or self._shares.many(rule, want.namespace, want.target, held):
            return msgspec.structs.replace(said, ignored=why)
        if why := limits.crowded(held, self._settings.orders.most_open):
            raise QueueFullError(why)
        order = self._compose(want)
        found, new = self._record(order, held) if rule.dry_run else submit(self._orders, order, self._clock)
        if new and order.needs != "nobody" and not rule.dry_run and self._overtaken(want, found):
            return msgspec.structs.replace(said, error="another listener made an order at the same moment, and both are too many", retry_after=OUT)
        if new:
            self._seen.add(found)
            self._wake()
        return msgspec.structs.replace(said, order=order.id, new=new, dry_run=rule.dry_run)

    def _overtaken(self, want: Wanted, mine: Held) -> bool:
        """Whether with this order there are too many, by others that were not seen before: then it is taken back, and nobody has begun.

        Of any that are too many, the last one in the queue sees all others here, and goes. So the limit holds over all replicas.
        """
        others = [h for h in _counting(want.rule, self._orders.list()) if h.order.id != mine.order.id]
        many = limits.often(want.rule, others, self._clock.now()) or self._shares.many(want.rule, want.namespace, want.target, others)
        if many:
            self._orders.remove(self._orders.get(mine.order.id))
        return bool(many)

    def _compose(self, want: Wanted) -> Order:
        alert, rule, uid = want.alert, want.rule, self._uid()
        bucket = int(self._clock.now().timestamp() // rule.window)
        given = {name: str(parameters.substitute(value, _values(alert), text=True)) for name, value in rule.run.parameters.items()}
        asked = {p.name: p for p in library.find(rule.run.playbook, self._settings).parameters} if given else {}
        for name, value in given.items():
            parameters.parse(asked[name], value)
        return compose(
            f"webhook{' dry-run' * rule.dry_run} {uid} {rule.name} {want.namespace}/{want.target} {bucket}",
            Origin(door="webhook", sender=alert.source, shown=want.sender),
            rule.run.command, want.target, want.namespace, cluster=uid, clock=self._clock, settings=self._settings, playbook=rule.run.playbook,
            phase=rule.run.phase, parameters=given, take=rule.run.take, needs=rule.approval,
            approvers=rule.approvers, rule=rule.name, because=f"{alert.source}: {alert.name}: {alert.summary}",
        )  # fmt: skip

    def _record(self, order: Order, held: Sequence[Held]) -> tuple[Held, bool]:
        """A dry run is an order that is over before it begins: it is in the queue, and nobody carries it out."""
        if sum(h.recorded for h in held) >= MOST_RECORDS:
            raise RefusedError(f"{MOST_RECORDS} dry runs are recorded already; this one is not")
        ended = Ended(outcome=DRY_RUN, exit_code=0, summary=f"would have ordered: {order.words}")
        added = self._orders.add(order, Status(state="done", changed=stamp(self._clock), ended=ended))
        return (added, True) if added is not None else (self._orders.get(order.id), False)
