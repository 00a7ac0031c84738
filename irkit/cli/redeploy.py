"""`irkit redeploy`: bring a workload back with another image."""

from __future__ import annotations

from typing import Annotated

import typer

from irkit.cli import options
from irkit.cli.main import SETTINGS

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings=SETTINGS)
Workload = Annotated[str, typer.Argument(metavar="WORKLOAD|ID", help="kind/name, a pod of it, or the incident that stopped it", show_default=False)]
Image = Annotated[str, typer.Option("--image", metavar="REF@sha256:…", help="The image, pinned by digest; of a tag, its digest is shown")]
Container = Annotated[str, typer.Option("--container", metavar="NAME", help="Only this one; without it, all that run an image of its repository")]
Accept = Annotated[list[str] | None, typer.Option("--accept", metavar="ID", help="A vulnerability that does not block; may be given again")]
SameImage = Annotated[str, typer.Option("--same-image", metavar="REASON", help="Why the compromised image may come back")]


@app.command()
def redeploy(
    workload: Workload,
    image: Image,
    container: Container = "",
    accept: Accept = None,
    same_image: SameImage = "",
    namespace: options.Namespace = "",
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    output: options.Output = "text",
    yes: options.Yes = False,
    dry_run: options.DryRun = False,
    protected: options.Protected = "",
    without_evidence: options.WithoutEvidence = "",
) -> int:
    """Give a workload an image that was scanned, as many pods as it had, and prove that nothing runs the old one.

    Where an incident stopped it, this goes on with that incident: its recorded replicas come back, and what was paused goes on.
    """
    from irkit import wiring
    from irkit.app import redeploy as cases
    from irkit.app.respond import Request
    from irkit.cli.running import run

    wish = cases.Wish(image=image, container=container, accept=tuple(accept or ()), same_image=same_image)
    request = Request(command="redeploy", playbook="redeploy", target=workload, namespace=namespace, dry_run=dry_run, protected=protected,
                      without_evidence=without_evidence)  # fmt: skip
    configured = wiring.settings(context=context, kubeconfig=kubeconfig)
    return run(lambda ports: cases.redeploy(ports, wish, request), form=output, yes=yes, configured=configured)
