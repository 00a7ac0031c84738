"""`irkit rehearse`: a containment on the built-in cluster, with everything as in earnest."""

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
from irkit.cli.sandbox import Scenario, Seed

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings=SETTINGS)
Keep = Annotated[bool, typer.Option("--keep-workload", help="Leave the workload running")]


@app.command()
def rehearse(
    scenario: Scenario = "todo-app", seed: Seed = 0, yes: options.Yes = False, output: options.Output = "text", keep_workload: Keep = False
) -> int:
    """See a containment, or do one: the same prompts, tables and evidence as on a real cluster, on one made for it.

    Without a terminal it answers its questions itself and says so.
    """
    from irkit import wiring
    from irkit.app import respond as cases
    from irkit.cli import output as streams
    from irkit.cli.render import Progress
    from irkit.cli.running import tell

    err = streams.stderr()
    with TemporaryDirectory(prefix="irkit-rehearsal-") as home, wiring.rehearsal(scenario, seed, Path(home)) as box:
        namespace, pod = box.suspect
        configured = wiring.settings(kubeconfig=str(box.kubeconfig), context="")
        alone = yes or not sys.stdin.isatty()
        if output == "text":
            err.line(f"A rehearsal: scenario {scenario}, seed {seed}, on a cluster inside this process. {box.scenario.title}.")
            err.line(f"$ irkit contain {pod} -n {namespace}" + ("   (no terminal: every question is answered yes)" if alone else ""))
            err.line()
        ports = wiring.ports(configured, Progress(err, quiet=output == "json"), yes=alone, rehearsal=True)
        request = cases.Request(
            command="contain", playbook="compromised-pod", phase="containment", target=pod, namespace=namespace, keep_workload=keep_workload
        )
        result = cases.respond(ports, request)
        if result.evidence is not None and result.evidence.bundle:
            result.next = f"irkit bundle verify {result.evidence.bundle}"
        code = tell(result, output, configured)
    if output == "text":
        err.line("Then try:  irkit sandbox                 this cluster, to play with from another terminal")
        err.line("           irkit rehearse --seed 7       other names, other siblings, and something planted")
        err.line(f"           irkit playbook show {request.playbook} --runbook")
        if shutil.which("irkit") is None:
            err.line(f"irkit is not on your PATH: export PATH={shlex.quote(str(Path(sys.argv[0]).absolute().parent))}:$PATH")
    return code
