"""An order as a person reads it."""

from __future__ import annotations

from irkit.cli.output import Out
from irkit.model.order import Held
from irkit.text import printable


def told(out: Out, held: Held) -> None:
    order, status = held.order, held.status
    out.line(f"Order {order.id}: {printable(order.words, 300)}")
    out.line(
        f"  by:        {printable(order.origin.label, 200)}, {order.created[:19]}Z" + (f", rule {printable(order.rule, 60)}" if order.rule else "")
    )
    if order.because:
        out.line(f"  because:   {printable(order.because, 300)}", hang=13)
    out.line(f"  state:     {status.state}" + (f": {printable(status.note, 300)}" if status.note else ""), hang=13)
    if order.needs == "two":
        out.line("  needs:     two persons" + (", whoever asked among them" if order.origin.door != "webhook" else ""))
    if status.planned is not None:
        out.line(f"  plan:      {status.planned.digest[:16]}")
        for warning in status.planned.warnings:
            out.line(f"             note: {printable(warning, 300)}", hang=19)
        for number, text in enumerate(status.planned.lines, 1):
            out.line(f"             {number:>2}  {printable(text, 300)}", hang=17)
    for decision in status.decisions:
        out.line(
            f"  {'approved' if decision.yes else 'declined'}:  {printable(decision.by.label, 200)}, {decision.at}"
            + (f" (does not count: {printable(decision.void, 300)})" if decision.void else ""),
            hang=13,
        )
    if status.incident:
        out.line(f"  incident:  {status.incident}")
    if status.ended is not None:
        out.line(f"  result:    {status.ended.exit_code}: {printable(status.ended.summary, 600)}", hang=13)
    following = f"irkit approve {order.id}" if status.state == "waiting" else status.ended.next if status.ended else ""
    if following:
        out.line(f"  next:      {printable(following, 300)}")
