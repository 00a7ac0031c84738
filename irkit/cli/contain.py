"""`irkit contain`: the command for 03:00."""

from __future__ import annotations

import typer

from irkit.cli import options
from irkit.cli.main import SETTINGS

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings=SETTINGS)


@app.command()
def contain(
    target: options.Target = None,
    selector: options.Selector = None,
    namespace: options.Namespace = "",
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
    playbooks: options.Playbooks = None,
) -> int:
    """Cut a pod off the network, keep its evidence, and stop its workload without ending the pod.

    Shows where it is and what it will do, asks once, and again before the workload is stopped. Run it again on the
    same pod and it goes on with the open incident.
    """
    from irkit import wiring
    from irkit.app import respond as cases
    from irkit.cli.running import run
    from irkit.model.incident import Reported

    request = cases.Request(
        command="contain", playbook="compromised-pod", phase="containment", target=target, selector=selector, namespace=namespace,
        dry_run=dry_run, keep_workload=keep_workload, protected=protected, without_evidence=without_evidence,
        reported=Reported(by=reported_by, summary=summary, severity=severity, started_at=started_at),
    )  # fmt: skip
    configured = wiring.settings(context=context, kubeconfig=kubeconfig, playbooks=playbooks)
    return run(lambda ports: cases.respond(ports, request), form=output, yes=yes, configured=configured)
