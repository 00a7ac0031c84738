"""`irkit lift`: undo a containment."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from irkit.cli import options
from irkit.cli.main import SETTINGS
from irkit.cli.resume import Identifier

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings=SETTINGS)
Pod = Annotated[Literal["keep", "return", "delete"], typer.Option("--pod", help="What becomes of the quarantined pod")]


@app.command()
def lift(
    identifier: Identifier = None,
    pod: Pod = "keep",
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    output: options.Output = "text",
    yes: options.Yes = False,
    dry_run: options.DryRun = False,
) -> int:
    """Bring the workload back as it was. The quarantined pod stays cut off (keep), returns to service, or is deleted.

    Only what irkit recorded is brought back; what others changed since is shown and left alone.
    """
    from irkit import wiring
    from irkit.app import lift as cases
    from irkit.cli.running import run

    configured = wiring.settings(context=context, kubeconfig=kubeconfig)
    return run(lambda ports: cases.lift(ports, identifier, pod, dry_run=dry_run), form=output, yes=yes, configured=configured)
