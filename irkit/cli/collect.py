"""`irkit collect`: evidence only."""

from __future__ import annotations

from typing import Annotated

import typer

from irkit.cli import options
from irkit.cli.main import SETTINGS

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings=SETTINGS)
Take = Annotated[str, typer.Option("--take", help="Kinds of evidence, with commas: state,logs,events,specs,network,rbac,credentials,node")]


@app.command()
def collect(
    target: options.Target = None,
    selector: options.Selector = None,
    namespace: options.Namespace = "",
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    output: options.Output = "text",
    take: Take = "",
    dry_run: options.DryRun = False,
    playbooks: options.Playbooks = None,
) -> int:
    """Collect the evidence of a pod and its siblings into a sealed bag. Writes nothing to the cluster."""
    from irkit import wiring
    from irkit.app import respond as cases
    from irkit.cli.running import run

    request = cases.Request(
        command="collect", playbook="collect-only", target=target, selector=selector, namespace=namespace, dry_run=dry_run,
        take=tuple(t.strip() for t in take.split(",") if t.strip()), read_only=True,
    )  # fmt: skip
    configured = wiring.settings(context=context, kubeconfig=kubeconfig, playbooks=playbooks)
    return run(lambda ports: cases.respond(ports, request), form=output, configured=configured)
