"""`irkit incident`: what there was, the post-mortem of it, and its end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from irkit import API_VERSION
from irkit.cli import options
from irkit.cli.main import SETTINGS

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    context_settings=SETTINGS,
    help="List, show, report and close incidents; who has which role.",
)
Identifier = Annotated[str | None, typer.Argument(metavar="[ID]", help="Incident; without it, the newest", show_default=False)]


Local = Annotated[bool, typer.Option("--local", help="Look at this machine only, not at what the cluster knows")]


@app.command("list")
def list_(
    local: Local = False,
    everything: Annotated[bool, typer.Option("--all", help="Of the cluster's, also those that were lifted or closed")] = False,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    output: options.Output = "text",
) -> int:
    """All incidents of this machine, and those that the cluster knows of; newest first."""
    from irkit import wiring
    from irkit.app import incidents
    from irkit.cli import output as streams
    from irkit.cli.glance import glance
    from irkit.text import printable

    configured = wiring.settings(context=context, kubeconfig=kubeconfig)
    items, there, why = incidents.summaries(configured), None, ""
    if not local:
        there, why = glance(configured, lambda cluster, orders: incidents.shared(cluster, orders, over=everything))
        items = incidents.merged(items, there or [])
    if output == "json":
        streams.document({"apiVersion": API_VERSION, "kind": "IncidentList", "items": items,
                          "cluster": {"asked": not local, "answered": there is not None, "why": why}})  # fmt: skip
        return 0
    out = streams.stdout()
    if not items:
        out.line("no incidents yet")
    else:
        streams.table(out, ("incident", "status", "severity", "target", "context", "bags", "where"),
                      [tuple(printable(cell, 120) for cell in (i["id"], i["status"], i["severity"], _target(i), i["context"], i["bags"], i["where"]))
                       for i in items])  # fmt: skip
    if there and not all(i["signed"] for i in there if not i["status"].startswith("unreadable")):
        out.line("  ! what is only in the cluster was not checked: its copies are not signed, or you may not read the key", style="yellow", hang=4)
    if why:
        out.line(f"  ! the cluster was not asked: {printable(why, 300)}", style="yellow", hang=4)
    out.line(f"  next:      irkit incident show {printable(items[0]['id'])}" if items else "  next:      irkit contain POD -n NAMESPACE")
    return 0


def _target(item: dict[str, Any]) -> str:
    """``todo-app/backend-7c7c-x2`` for a pod, ``Node node-1`` for anything else."""
    kind, name = item["kind"], item["pod"]
    if kind in ("", "Pod"):
        return f"{item['namespace']}/{name}"
    return f"{kind} {name}" if kind in ("Node", "Namespace") else f"{kind} {item['namespace']}/{name}"


@app.command()
def show(
    identifier: Identifier = None,
    local: Local = False,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    output: options.Output = "text",
) -> int:
    """What was bound, done and found in one incident, from its journal, and from its copy in the cluster."""
    from irkit import wiring
    from irkit.app import incidents
    from irkit.cli import output as streams
    from irkit.cli.glance import glance

    configured = wiring.settings(context=context, kubeconfig=kubeconfig)
    found = None
    if not local and identifier and not incidents.known(configured, identifier):
        with wiring.cluster(configured) as connected:
            found = incidents.show(configured, identifier, connected)
    elif not local:
        found, _ = glance(configured, lambda cluster, orders: incidents.show(configured, identifier, cluster))
    found = found or incidents.show(configured, identifier)
    if output == "json":
        streams.document(found)
        return 0
    _tell(streams.stdout(), found)
    return 0


def _tell(out: Any, found: dict[str, Any]) -> None:
    from irkit.text import printable

    for name in (
        "id",
        "status",
        "where",
        "severity",
        "summary",
        "opened",
        "operator",
        "playbook",
        "context",
        "server",
        "cluster",
        "target",
        "workload",
    ):
        if found[name]:
            out.line(f"  {name:<10} {printable(found[name], 400)}", hang=13)
    for name, key in (("reported", "reportedBy"), ("since", "startedAt")):
        if found[key]:
            out.line(f"  {name:<10} {printable(found[key], 400)}", hang=13)
    for role, name in found["roles"].items():
        out.line(f"  {role:<21} {printable(name, 200)}", hang=24)
    for line in found["timeline"]:
        out.line(f"  {line['at'][:23]}  {printable(line['text'], 400)}", hang=27)
    for bag in found["bags"]:
        out.line(f"  evidence   {bag}")
    for bag in found["elsewhere"]:
        out.line(f"  evidence   bag {bag['bag']}: {printable(bag['where'], 1000)}", hang=13)
    for what in found["left"]:
        out.line(f"  left       {printable(what, 600)}", style="yellow", hang=13)
    out.line(f"  next:      {found['next']}")


@app.command()
def report(
    identifier: Identifier = None,
    directory: Annotated[Path | None, typer.Option("--output-dir", metavar="DIR", help="Where to write it; without it, beside the journal")] = None,
    output: options.Output = "text",
) -> int:
    """Draft the post-mortem from journal and bags: Markdown to edit, and one HTML file to read and print."""
    from irkit import wiring
    from irkit.app import report as cases
    from irkit.cli import output as streams
    from irkit.text import plural, printable

    found = cases.write(wiring.settings(), wiring.clock(), identifier, directory)
    if output == "json":
        streams.document(found)
        return 0
    out = streams.stdout()
    out.line(f"Drafted. {plural(found['timeline'], 'moment')}, {plural(found['tasks'], 'task')}, {plural(len(found['left']), 'thing')} left to do.")
    for what in found["left"][:10]:
        out.line(f"  left       {printable(what, 400)}", hang=13)
    out.line(f"  edit       {found['markdown']}")
    out.line(f"  read       {found['html']}")
    out.line(f"  next:      {found['next']}")
    return 0


@app.command()
def role(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="Incident", show_default=False)],
    name: Annotated[
        str, typer.Argument(metavar="ROLE", help="incident-commander, operations-lead, communications-lead or scribe", show_default=False)
    ],
    who: Annotated[str, typer.Argument(metavar="NAME", help="Who has it from now on; empty: nobody", show_default=False)],
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    output: options.Output = "text",
) -> int:
    """Put on record who has a role in an incident from now on, and hands it over by that."""
    from irkit import wiring
    from irkit.app import roles
    from irkit.cli import output as streams
    from irkit.cli.render import Progress
    from irkit.text import printable

    configured = wiring.settings(context=context, kubeconfig=kubeconfig)
    found = roles.assign(wiring.ports(configured, Progress(streams.stderr(), quiet=output == "json")), identifier, name, who)
    if output == "json":
        streams.document({"apiVersion": API_VERSION, "kind": "IncidentRoles", "incident": identifier, "roles": found})
        return 0
    out = streams.stdout()
    for each in roles.ROLES:
        out.line(f"  {each:<21} {printable(found.get(each, 'nobody'), 200)}", hang=24)
    out.line(f"  next:      irkit incident show {printable(identifier)}")
    return 0


@app.command()
def close(
    identifier: Identifier = None,
    anyway: Annotated[str, typer.Option("--anyway", metavar="REASON", help="Close it though something is left; goes on record")] = "",
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    output: options.Output = "text",
    yes: options.Yes = False,
) -> int:
    """Put on record that an incident is over. Refuses while something of it is half done, and says what."""
    from irkit import wiring
    from irkit.app import closing
    from irkit.cli.running import run

    configured = wiring.settings(context=context, kubeconfig=kubeconfig)
    return run(lambda ports: closing.close(ports, identifier, anyway=anyway), form=output, yes=yes, configured=configured)
