"""`irkit rehearse`: an incident on the built-in cluster, with everything as in earnest."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from irkit.cli import options
from irkit.cli.main import SETTINGS
from irkit.cli.output import Out
from irkit.cli.sandbox import Scenario, Seed

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings=SETTINGS)
Phase = Annotated[str, typer.Option("--phase", help="Only this phase, as in: containment")]
Keep = Annotated[bool, typer.Option("--keep-workload", help="Leave the workload running")]


@app.command()
def rehearse(
    scenario: Scenario = "todo-app", seed: Seed = 0, yes: options.Yes = False, output: options.Output = "text", keep_workload: Keep = False,
    phase: Phase = "",
) -> int:  # fmt: skip
    """See an incident from the cut to the post-mortem, or do one: the same prompts, tables and evidence as on a real cluster.

    Without a terminal it answers its questions itself and says so.
    """
    from irkit import wiring
    from irkit.app import rehearse as cases
    from irkit.cli import output as streams
    from irkit.cli.render import Progress
    from irkit.cli.running import tell

    err = streams.stderr()
    with TemporaryDirectory(prefix="irkit-rehearsal-") as home, wiring.rehearsal(scenario, seed, Path(home)) as box:
        configured = wiring.inside(box)
        request = cases.request(box.suspect, box.scenario.images.get("patched", ""), phase, keep_workload=keep_workload)
        alone = yes or not sys.stdin.isatty()
        if output == "text":
            err.line(f"A rehearsal: scenario {scenario}, seed {seed}, on a cluster inside this process. {box.scenario.title}.")
            err.line(f"$ {cases.words(request)}" + ("   (no terminal: every question is answered yes)" if alone else ""))
            if not alone and not phase:
                err.line("Where a vendor's new key is asked for, any text of eight characters or more will do.")
            err.line()
        ports = wiring.ports(configured, Progress(err, quiet=output == "json"), yes=alone, rehearsal=True)
        played = cases.play(ports, request)
        code = tell(played.result, output, configured)
    if output == "text":
        _after(err, request.playbook, played.report)
    return code


def _after(err: Out, playbook: str, report: str) -> None:
    if report:
        err.line(f"The post-mortem's draft: {report}")
    err.line("Then try:  irkit sandbox                 this cluster and its Vault, to play with from another terminal")
    err.line("           irkit rehearse --seed 7       other names, other siblings, and something planted")
    err.line(f"           irkit playbook show {playbook} --runbook")
    if shutil.which("irkit") is None:
        err.line(f"irkit is not on your PATH: export PATH={shlex.quote(str(Path(sys.argv[0]).absolute().parent))}:$PATH")
