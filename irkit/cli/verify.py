"""`irkit verify`: read-only proof."""

from __future__ import annotations

from typing import Annotated

import typer

from irkit.cli import options
from irkit.cli.main import SETTINGS

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings=SETTINGS)


@app.command()
def verify(
    target: Annotated[
        str | None, typer.Argument(metavar="[TARGET|ID]", help="POD, kind/name or an incident; without it, the newest incident")
    ] = None,
    selector: options.Selector = None,
    namespace: options.Namespace = "",
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    output: options.Output = "text",
    explain: Annotated[bool, typer.Option("--explain", help="Why each policy does or does not concern the pod")] = False,
) -> int:
    """Judge whether a pod is cut off, and for an incident that the workload is stopped, the pod alive, nothing tampered with."""
    from irkit import wiring
    from irkit.app import verify as cases
    from irkit.cli.running import run

    configured = wiring.settings(context=context, kubeconfig=kubeconfig)
    return run(lambda ports: cases.verify(ports, target, selector, namespace, explain=explain), form=output, configured=configured)
