"""`irkit approve`: say yes or no to an order's plan, with the right that the cluster gives."""

from __future__ import annotations

from typing import Annotated

import typer

from irkit.cli import options
from irkit.cli.main import SETTINGS

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings=SETTINGS)


@app.command()
def approve(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="The order's id", show_default=False)],
    decline: Annotated[bool, typer.Option("--decline", help="Say no")] = False,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    yes: options.Yes = False,
    output: options.Output = "text",
) -> int:
    """Approve the plan of an order that waits, or decline it. The cluster must let you create approvals.irkit.dev."""
    from irkit import wiring
    from irkit.app.orders import approving
    from irkit.cli import output as streams
    from irkit.cli.order import document
    from irkit.cli.orderview import told

    configured = wiring.settings(context=context, kubeconfig=kubeconfig)
    ports = wiring.ports(configured, lambda event: None, yes=yes)
    orders = wiring.orders(configured, ports.cluster)
    shown = orders.get(identifier)
    told(streams.stderr(), shown)
    held = approving.approve(ports, orders, shown, yes=not decline)
    if output == "json":
        streams.document(document(held))
    elif decline:
        streams.stdout().line(f"Order {held.order.id} is declined.")
    else:
        streams.stdout().line(f"Order {held.order.id} is approved" + (f": {held.status.note}." if held.status.state == "waiting" else "."))
    return 0
