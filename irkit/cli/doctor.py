"""`irkit doctor`: would it work from here?"""

from __future__ import annotations

import typer

from irkit import API_VERSION
from irkit.cli import options
from irkit.cli.main import SETTINGS

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings=SETTINGS)


@app.command()
def doctor(
    namespace: options.Namespace = "",
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    output: options.Output = "text",
) -> int:
    """Check this machine, the kubeconfig, the cluster, your rights and the network plugin. Changes nothing."""
    from dataclasses import asdict

    from irkit import wiring
    from irkit.app import doctor as cases
    from irkit.cli import output as streams
    from irkit.errors import worst

    configured = wiring.settings(context=context, kubeconfig=kubeconfig)
    found = cases.examine(configured, lambda: wiring.ports(configured, lambda event: None), namespace)
    code = worst(f.exit_code for f in found if f.level == "bad")
    if output == "json":
        findings = [{"exitCode" if k == "exit_code" else k: v for k, v in asdict(f).items()} for f in found]
        streams.document({"apiVersion": API_VERSION, "kind": "Examination", "exitCode": code, "findings": findings})
        return code
    out = streams.stdout()
    for finding in found:
        mark = {"ok": " ", "note": "!", "bad": "x"}[finding.level]
        out.line(f"{mark} {finding.name:<11} {finding.text}", style={"ok": "", "note": "yellow", "bad": "red"}[finding.level], hang=14)
    out.line(cases.summary(found))
    following = next((f.next for f in found if f.level == "bad" and f.next), "irkit rehearse")
    out.line(f"  next:      {following}")
    return code
