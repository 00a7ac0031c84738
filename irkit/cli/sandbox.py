"""`irkit sandbox`: the rehearsal cluster by itself."""

from __future__ import annotations

import shlex
from threading import Event
from typing import Annotated

import typer

from irkit.cli.main import SETTINGS

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings=SETTINGS)
Scenario = Annotated[str, typer.Option("--scenario", help="What happens in it")]
Seed = Annotated[int, typer.Option("--seed", help="Changes names, siblings and what was planted")]


@app.command()
def sandbox(scenario: Scenario = "todo-app", seed: Seed = 0) -> int:
    """Start the built-in cluster and print the lines that point kubectl, irkit and `bao` at it. Ctrl-C ends it."""
    from irkit import wiring
    from irkit.cli import gamedir
    from irkit.cli import output as streams

    out, err = streams.stdout(), streams.stderr()
    with gamedir.directory() as home, wiring.rehearsal(scenario, seed, home / "box") as box:
        namespace, pod = box.suspect
        for name, value in box.environment.items():
            out.line(f"export {name}={shlex.quote(value)}")
        err.line(f"The cluster of scenario {scenario}, seed {seed}, and its Vault run until Ctrl-C. In another terminal, paste these lines, then:")
        err.line(f"  next:      irkit contain {pod} -n {namespace}")
        try:
            Event().wait()
        except KeyboardInterrupt:
            err.line("ended; its state is gone, the incidents in IRKIT_HOME stay")
    return 0
