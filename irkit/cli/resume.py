"""`irkit resume`: go on with an incident."""

from __future__ import annotations

from typing import Annotated

import typer

from irkit.cli import options
from irkit.cli.main import SETTINGS

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings=SETTINGS)
Identifier = Annotated[str | None, typer.Argument(metavar="[ID]", help="Incident; without it, the newest of this cluster", show_default=False)]


@app.command()
def resume(
    identifier: Identifier = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    output: options.Output = "text",
    yes: options.Yes = False,
    value: options.Value = None,
) -> int:
    """Go on where a run ended: plan again from what was bound when the incident opened, and do what is missing."""
    from irkit import wiring
    from irkit.app import going_on as cases
    from irkit.cli.running import run

    configured = wiring.settings(context=context, kubeconfig=kubeconfig)
    return run(lambda ports: cases.resume(ports, identifier), form=output, yes=yes, values=options.files(value), configured=configured)
