"""`irkit incident`: what there was."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from irkit.cli import options
from irkit.cli.main import SETTINGS

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False, context_settings=SETTINGS, help="List and show incidents.")
Identifier = Annotated[str | None, typer.Argument(metavar="[ID]", help="Incident; without it, the newest", show_default=False)]


@app.command("list")
def list_(output: options.Output = "text") -> int:
    """All incidents of this machine, newest first."""
    from irkit import wiring
    from irkit.app import incidents
    from irkit.cli import output as streams

    items = incidents.summaries(wiring.settings())
    if output == "json":
        streams.document({"apiVersion": "irkit.dev/v1", "kind": "IncidentList", "items": items})
        return 0
    out = streams.stdout()
    if not items:
        out.line("no incidents yet")
        out.line("  next:      irkit contain POD -n NAMESPACE")
        return 0
    streams.table(out, ("incident", "status", "target", "context", "bags"),
                  [(i["id"], i["status"], _target(i), i["context"], str(i["bags"])) for i in items])  # fmt: skip
    out.line(f"  next:      irkit incident show {items[0]['id']}")
    return 0


def _target(item: dict[str, Any]) -> str:
    """``todo-app/backend-7c7c-x2`` for a pod, ``Node node-1`` for anything else."""
    kind, name = item["kind"], item["pod"]
    if kind in ("", "Pod"):
        return f"{item['namespace']}/{name}"
    return f"{kind} {name}" if kind in ("Node", "Namespace") else f"{kind} {item['namespace']}/{name}"


@app.command()
def show(identifier: Identifier = None, output: options.Output = "text") -> int:
    """What was bound, done and found in one incident, from its journal."""
    from irkit import wiring
    from irkit.app import incidents
    from irkit.cli import output as streams

    found = incidents.show(wiring.settings(), identifier)
    if output == "json":
        streams.document(found)
        return 0
    _tell(streams.stdout(), found)
    return 0


def _tell(out: Any, found: dict[str, Any]) -> None:
    from irkit.text import printable

    for name in ("id", "status", "opened", "operator", "playbook", "context", "server", "cluster", "target", "workload"):
        out.line(f"  {name:<10} {printable(found[name], 400)}", hang=13)
    for line in found["timeline"]:
        out.line(f"  {line['at'][:23]}  {printable(line['text'], 400)}", hang=27)
    for bag in found["bags"]:
        out.line(f"  evidence   {bag}")
    out.line(f"  next:      {found['next']}")
