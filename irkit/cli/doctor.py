"""`irkit doctor`: would it work from here?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from irkit import API_VERSION
from irkit.cli import options
from irkit.cli.main import SETTINGS

if TYPE_CHECKING:
    from irkit.settings import Settings

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings=SETTINGS)


@app.command()
def doctor(
    namespace: options.Namespace = "",
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    output: options.Output = "text",
    create: Annotated[bool, typer.Option("--create-signing-key", help="Make the key that copies in irkit-system are signed with")] = False,
    rotate: Annotated[bool, typer.Option("--rotate-signing-key", help="Make a new one; the last one still counts")] = False,
    yes: options.Yes = False,
) -> int:
    """Check this machine, the kubeconfig, the cluster, your rights and the network plugin. Changes nothing by itself."""
    from dataclasses import asdict

    from irkit import wiring
    from irkit.app import doctor as cases
    from irkit.cli import output as streams
    from irkit.errors import worst

    configured = wiring.settings(context=context, kubeconfig=kubeconfig)
    if create or rotate:
        return _key(configured, output, rotate=rotate and not create, yes=yes)
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


def _key(configured: Settings, output: str, *, rotate: bool, yes: bool) -> int:
    from irkit import wiring
    from irkit.app import signing
    from irkit.cli import output as streams

    done = signing.make(wiring.ports(configured, lambda event: None, yes=yes), rotate=rotate)
    if output == "json":
        streams.document({"apiVersion": API_VERSION, "kind": "SigningKey", "exitCode": 0, "done": done})
    else:
        streams.stdout().line(done)
        streams.stdout().line("  next:      irkit doctor")
    return 0
