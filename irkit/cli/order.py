"""`irkit order`: what chats and alerts asked for."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from irkit.cli import options
from irkit.cli.main import SETTINGS

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False, context_settings=SETTINGS,
                  help="List, show and take back what chats and alerts asked for.")  # fmt: skip
Id = Annotated[str, typer.Argument(metavar="ID", help="The order's id", show_default=False)]


@app.command("list")
def list_(
    context: options.Context = None, kubeconfig: options.Kubeconfig = None, output: options.Output = "text",
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over")] = False,
) -> int:  # fmt: skip
    """The orders that wait or run, oldest first."""
    from irkit import wiring
    from irkit.cli import output as streams
    from irkit.text import printable

    configured = wiring.settings(context=context, kubeconfig=kubeconfig)
    with wiring.cluster(configured) as connected:
        found = [h for h in wiring.orders(configured, connected).list() if everything or not h.status.over]
    if output == "json":
        streams.document([document(h) for h in found])
        return 0
    rows = [(h.order.id, h.status.state, h.order.words, h.order.origin.label, h.order.created[:19]) for h in found]
    out = streams.stdout()
    if not rows:
        out.line("No orders." if everything else "No open orders. --all shows those that are over.")
        return 0
    streams.table(out, ("ID", "STATE", "WHAT", "BY", "SINCE"), [tuple(printable(cell, 80) for cell in row) for row in rows])
    return 0


@app.command()
def show(identifier: Id, context: options.Context = None, kubeconfig: options.Kubeconfig = None, output: options.Output = "text") -> int:
    """One order: its plan, who decided, what came of it."""
    from irkit import wiring
    from irkit.cli import output as streams
    from irkit.cli.orderview import told

    configured = wiring.settings(context=context, kubeconfig=kubeconfig)
    with wiring.cluster(configured) as connected:
        held = wiring.orders(configured, connected).get(identifier)
    if output == "json":
        streams.document(document(held))
    else:
        told(streams.stdout(), held)
    return 0


@app.command()
def cancel(identifier: Id, context: options.Context = None, kubeconfig: options.Kubeconfig = None) -> int:
    """Take back an order that was not begun yet: as whoever asked for it, or as somebody who may approve it."""
    from irkit import wiring
    from irkit.app.orders import approving
    from irkit.cli import output as streams

    configured = wiring.settings(context=context, kubeconfig=kubeconfig)
    ports = wiring.ports(configured, lambda event: None)
    held = approving.cancel(ports, wiring.orders(configured, ports.cluster), identifier)
    streams.stdout().line(f"Order {held.order.id} is cancelled.")
    return 0


@app.command(hidden=True)
def work(identifier: Id, context: options.Context = None, kubeconfig: options.Kubeconfig = None, playbooks: options.Playbooks = None) -> int:
    """Do what an order needs next: plan it, or carry it out. Listeners start this."""
    import os
    import signal
    import socket

    from irkit import wiring
    from irkit.app.orders.work import work as worked
    from irkit.cli import output as streams
    from irkit.cli.render import Progress

    configured = wiring.settings(context=context, kubeconfig=kubeconfig, playbooks=playbooks)
    ports = wiring.ports(configured, Progress(streams.stderr(), quiet=False))
    worker = f"{socket.gethostname()}/{os.getpid()}"
    return worked(ports, wiring.orders(configured, ports.cluster), identifier, worker, lambda: os.kill(os.getpid(), signal.SIGTERM))


def document(held: Any) -> dict[str, Any]:
    """``{apiVersion, kind: Order, order, status}``."""
    import msgspec

    from irkit import API_VERSION

    return {"apiVersion": API_VERSION, "kind": "Order", "order": msgspec.to_builtins(held.order), "status": msgspec.to_builtins(held.status)}
