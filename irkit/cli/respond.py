"""`irkit respond`: any playbook."""

from __future__ import annotations

from typing import Annotated

import typer

from irkit.cli import options
from irkit.cli.main import SETTINGS
from irkit.errors import UsageError
from irkit.text import printable

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings=SETTINGS)
Parameter = Annotated[list[str] | None, typer.Option("-p", "--param", metavar="NAME=VALUE", help="A parameter of the playbook; may be given again")]


@app.command()
def respond(
    playbook: Annotated[str, typer.Argument(help="Name or path of a playbook")],
    target: options.Target = None,
    selector: options.Selector = None,
    namespace: options.Namespace = "",
    phase: Annotated[str, typer.Option("--phase", help="Only this phase; several joined by commas")] = "",
    param: Parameter = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    output: options.Output = "text",
    yes: options.Yes = False,
    dry_run: options.DryRun = False,
    keep_workload: options.KeepWorkload = False,
    protected: options.Protected = "",
    without_evidence: options.WithoutEvidence = "",
    reported_by: options.ReportedBy = "",
    summary: options.Summary = "",
    severity: options.Severity = "",
    started_at: options.StartedAt = "",
    value: options.Value = None,
    playbooks: options.Playbooks = None,
) -> int:
    """Run a playbook, or some of its phases, against a target."""
    from irkit import wiring
    from irkit.app import respond as cases
    from irkit.cli.running import run
    from irkit.model.incident import Reported

    request = cases.Request(
        command="respond", playbook=playbook, phase=phase, target=target, selector=selector, namespace=namespace, parameters=pairs(param or []),
        dry_run=dry_run, keep_workload=keep_workload, protected=protected, without_evidence=without_evidence,
        reported=Reported(by=reported_by, summary=summary, severity=severity, started_at=started_at),
    )  # fmt: skip
    configured = wiring.settings(context=context, kubeconfig=kubeconfig, playbooks=playbooks)
    return run(lambda ports: cases.respond(ports, request), form=output, yes=yes, values=options.files(value), configured=configured)


def pairs(words: list[str]) -> dict[str, str]:
    """``name=value`` words. Raises UsageError."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise UsageError(f"-p takes name=value, not {printable(word, 80)!r}")
        found[name] = value
    return found
