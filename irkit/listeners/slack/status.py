"""``/irkit status``: what is open, or one order, or one incident. From the queue and the journals, here and in ``irkit-system``."""

from __future__ import annotations

from typing import Any

from irkit.app import incidents
from irkit.errors import IrkitError, UsageError
from irkit.listeners.slack import blocks, card
from irkit.listeners.slack.desk import Desk
from irkit.listeners.slack.escape import code
from irkit.model.kube import Obj
from irkit.model.order import Held
from irkit.text import plural, printable

_MOST = 15
OVER = ("closed", "lifted")  # of an incident's status


def answer(desk: Desk, identifier: str) -> tuple[str, list[Obj]]:
    """Raises UsageError where there is neither an order nor an incident of that id."""
    if not identifier:
        return "irkit's open orders and incidents", overview(desk)
    if identifier.isalnum():
        return "an order of irkit", card.order(desk.orders.get(identifier), desk.settings, buttons=False)
    try:
        found = incidents.show(desk.settings, identifier, desk.reader)
    except UsageError as error:
        raise UsageError(error.message, next="/irkit status") from None
    lines = [f"{name}: {printable(found[name], 300)}" for name in ("id", "status", "severity", "opened", "target", "workload") if found[name]]
    lines += [f"{line['at'][:19]}  {printable(line['text'], 200)}" for line in found["timeline"][-12:]]
    return "an incident of irkit", blocks.said("\n".join(lines))


def overview(desk: Desk) -> list[Obj]:
    """The same for a message and for the Home tab."""
    held = [h for h in desk.orders.list() if not h.status.over]
    found = [blocks.section(f"*{plural(len(held), 'open order')}*"), *(_order(h) for h in held[-_MOST:])]
    known, why = _known(desk)
    listed = [i for i in known if i["status"] not in OVER]
    found += [blocks.section(f"*{plural(len(listed), 'open incident')}*"), *(_incident(i) for i in listed[:_MOST])]
    return found + (blocks.said(f"Those of the cluster are not known: {why}") if why else [])


def _known(desk: Desk) -> tuple[list[dict[str, Any]], str]:
    """The incidents of this machine and of the cluster; and why those of the cluster are not among them."""
    here = incidents.summaries(desk.settings)
    if desk.reader is None:
        return here, ""
    try:
        return incidents.merged(here, incidents.shared(desk.reader, desk.orders)), ""
    except IrkitError as error:
        return here, error.message


def _order(held: Held) -> Obj:
    order, status = held.order, held.status
    note = f": {code(status.note, 150)}" if status.note else ""
    return blocks.section(f"{code(order.id)} {code(order.words, 200)}\n{status.state}{note}")


def _incident(item: dict[str, Any]) -> Obj:
    target = f"{item['namespace']}/{item['pod']}" if item["kind"] in ("", "Pod") else f"{item['kind']} {item['pod']}"
    about = f"\n{code(item['summary'], 150)}" if item["summary"] else ""
    return blocks.section(f"{code(item['id'])} {code(target, 200)}\n{code(item['status'], 100)}, {code(item['severity'] or 'no severity')}{about}")
