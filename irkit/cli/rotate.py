"""`irkit rotate`: make stolen credentials useless."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from irkit.cli import options
from irkit.cli.main import SETTINGS

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings=SETTINGS)
Scope = Annotated[
    Literal["pod", "workload", "namespace"] | None,
    typer.Option(
        "--scope",
        help="What the pod could reach, what any pod of its workload could (for kind/name), or all Secrets of the namespace (without TARGET)",
    ),
]
Due = Annotated[bool, typer.Option("--due", help="Only say what the policy finds due, its age and where that was read; 0: nothing, 5: something")]
RevokeFirst = Annotated[bool, typer.Option("--revoke-first", help="End the old values before the restarts, and accept the outage")]
Include = Annotated[Literal["serviceaccount"] | None, typer.Option("--include", help="Also the ServiceAccount's tokens")]
Secret = Annotated[list[str] | None, typer.Option("--secret", metavar="NAME", help="Only this Secret, with --scope namespace; may be given again")]


@app.command()
def rotate(
    target: options.Target = None,
    selector: options.Selector = None,
    namespace: options.Namespace = "",
    scope: Scope = None,
    due: Due = False,
    revoke_first: RevokeFirst = False,
    include: Include = None,
    secret: Secret = None,
    value: options.Value = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    output: options.Output = "text",
    yes: options.Yes = False,
    dry_run: options.DryRun = False,
    protected: options.Protected = "",
    without_evidence: options.WithoutEvidence = "",
) -> int:
    """Give every credential in scope a new value, restart what uses it, and prove that the old one is dead.

    Credentials that only their issuer can make (a vendor's API key) are asked for at a hidden prompt, or read from
    --value; without one they stay as they are, are listed, and `irkit resume` asks again.
    """
    from irkit import wiring
    from irkit.app import due as due_cases
    from irkit.app import respond as cases
    from irkit.app import rotate as rotations
    from irkit.cli.running import run

    configured = wiring.settings(context=context, kubeconfig=kubeconfig)
    if due:
        from irkit.cli.due import show

        return show(lambda ports: due_cases.due(ports, namespace), output, configured)
    default: Literal["pod", "workload", "namespace"] = "namespace"
    if target or selector:
        default = "workload" if rotations.of_owner(target) else "pod"
    wish = rotations.Wish(
        scope=scope or default, revoke_first=revoke_first, include=(include,) if include else (),
        secrets=tuple(secret or ()),
    )  # fmt: skip
    request = cases.Request(
        command="rotate", playbook="rotate", target=target, selector=selector, namespace=namespace, dry_run=dry_run, protected=protected,
        without_evidence=without_evidence,
    )  # fmt: skip
    return run(lambda ports: rotations.rotate(ports, wish, request), form=output, yes=yes, values=options.files(value), configured=configured)
