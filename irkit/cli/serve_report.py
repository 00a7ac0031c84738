"""`irkit serve report`: what rules in dry run would have ordered."""

from __future__ import annotations

from typing import Annotated

import typer

from irkit.cli import options


def report(
    days: Annotated[int, typer.Option("--days", min=1, max=30, help="How far back")] = 7,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    output: options.Output = "text",
) -> int:
    """What rules that are dry runs would have ordered, rule by rule. The queue keeps it as long as orders.kept says."""
    from irkit import wiring
    from irkit.cli import output as streams
    from irkit.listeners.web.report import document, lines

    configured = wiring.settings(context=context, kubeconfig=kubeconfig)
    with wiring.cluster(configured) as connected:
        held = wiring.orders(configured, connected).list()
    found = document(held, days, wiring.clock().now(), configured.orders.kept)
    if output == "json":
        streams.document(found)
        return 0
    out = streams.stdout()
    for line in lines(found):
        out.line(line)
    return 0
