"""What rules in dry run would have done, from the records in the queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from irkit import API_VERSION
from irkit.model.order import Held
from irkit.text import plural, printable

_MOST = 10  # targets of one rule that are listed as text
_DAY = 86400.0


def document(held: Sequence[Held], days: int, now: datetime, kept: float) -> dict[str, Any]:
    """``{kind: DryRunReport, since, until, complete, rules[{rule, orders, needs, targets[{target, count, last, because}]}]}``.

    ``complete``: whether the queue keeps records (``kept`` seconds) as long as the report goes back.
    """
    since = now - timedelta(days=days)
    found = [h for h in held if h.recorded and datetime.fromisoformat(h.order.created) >= since]
    rules = [_rule(name, [h for h in found if h.order.rule == name]) for name in sorted({h.order.rule for h in found})]
    return {"apiVersion": API_VERSION, "kind": "DryRunReport", "since": since.isoformat(), "until": now.isoformat(),
            "complete": kept >= days * _DAY, "rules": rules}  # fmt: skip


def _rule(name: str, held: Sequence[Held]) -> dict[str, Any]:
    counts = Counter(f"{h.order.namespace}/{h.order.target}" for h in held)
    last = {f"{h.order.namespace}/{h.order.target}": h for h in sorted(held, key=lambda h: h.order.created)}
    targets = [{"target": target, "count": count, "last": last[target].order.created, "because": last[target].order.because}
               for target, count in counts.most_common()]  # fmt: skip
    order = held[-1].order
    what = f"respond {order.playbook}" if order.command == "respond" else order.command
    return {"rule": name, "what": what, "needs": order.needs, "orders": len(held), "targets": targets}


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The same for people."""
    yield f"Dry runs from {found['since'][:10]} to {found['until'][:10]}"
    if not found["complete"]:
        yield "  ! the queue keeps records for a shorter time (orders.kept); older ones are not counted"
    for rule in found["rules"]:
        needs = {"nobody": "without asking anybody", "one": "after one approval", "two": "after two approvals"}[rule["needs"]]
        yield ""
        yield f"{printable(rule['rule'], 63)}: {rule['what']}, {plural(rule['orders'], 'time')}, {needs}"
        for target in rule["targets"][:_MOST]:
            yield f"  {target['count']:>4}  {printable(target['target'], 120)}   {printable(target['because'], 100)}"
        if len(rule["targets"]) > _MOST:
            yield f"        and {plural(len(rule['targets']) - _MOST, 'other target')}"
    if not found["rules"]:
        yield ""
        yield "No rule in dry run matched anything."
    yield ""
    yield "  next:      remove `dry-run: true` from a rule that does what you want, or narrow its match"
