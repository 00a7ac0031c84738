"""`irkit blast-radius`: which credentials must be considered stolen, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from irkit.cli import options
from irkit.cli.main import SETTINGS

if TYPE_CHECKING:
    from irkit.app.radius import Report
    from irkit.cli.output import Out
    from irkit.model.credential import Finding, Reason, Source

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings=SETTINGS)
Node = Annotated[bool, typer.Option("--node", help="What all pods of its node could reach, as after an escape")]
_HEADS = ("credential", "class", "age", "its value is kept in")
_LINES = 6  # of reasons under a group; -o json has all


@app.command("blast-radius")
def blast_radius(
    target: Annotated[str | None, typer.Argument(metavar="TARGET", help="POD, kind/name or node/NAME", show_default=False)] = None,
    selector: options.Selector = None,
    namespace: options.Namespace = "",
    node: Node = False,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    output: options.Output = "text",
) -> int:
    """Every credential that the target's pods could reach: by their specs, and by what their ServiceAccounts may read.

    Reads only, and shows no value. What may not be read is said as not known.
    """
    from irkit import wiring
    from irkit.app import radius as cases
    from irkit.cli import output as outputs

    configured = wiring.settings(context=context, kubeconfig=kubeconfig)
    ports = wiring.ports(configured, lambda event: None)
    report = cases.blast_radius(ports, target, selector, namespace, node=node)
    if output == "json":
        outputs.document(report.document())
    else:
        show(outputs.stdout(), report)
    return 0


def show(out: Out, report: Report) -> None:
    """The groups of credentials that were reached the same way, then what is not known, then what to do next."""
    from irkit.text import plural

    found = report.radius.findings
    out.line(
        f"{report.target}: {plural(len(found), 'credential')} could be reached" + (f" from {plural(report.pods, 'pod')}" if report.pods > 1 else "")
    )
    out.line()
    widths = [max(len(row[n]) for row in [_HEADS, *map(_row, found)]) for n in range(len(_HEADS))]
    if found:
        _line(out, _HEADS, widths, "")
    for reasons, members in _groups(found):
        for finding in members:
            _line(out, _row(finding), widths, "bold")
            for text in _facts(finding):
                out.line(f"      {text}", style="dim", hang=8)
        for reason in reasons[:_LINES]:
            out.line(f"      {reason.how}: {reason.path}", hang=8)
        if len(reasons) > _LINES:
            out.line(f"      and {len(reasons) - _LINES} more ways (-o json)")
        out.line()
    for gap in report.radius.unknown:
        out.line(f"  ! not known: {gap.what}: {gap.why}", style="yellow", hang=6)
    for danger in report.dangers:
        out.line(
            f"  ! {danger}: it could reach its node, and what all pods there could: irkit blast-radius node/{report.node}", style="yellow", hang=4
        )
    manual = sum(f.credential.cls == "manual" for f in found)
    if manual:
        out.line(
            f"  ! {plural(manual, 'credential')} of class manual: nothing here says who makes a new value (annotation irkit.dev/rotation)", hang=4
        )
    out.line(f"  next:      {report.next}")


def _line(out: Out, cells: tuple[str, ...], widths: list[int], style: str) -> None:
    line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
    out.line(f"  {line}", style=style, hang=6)


def _groups(found: tuple[Finding, ...]) -> list[tuple[tuple[Reason, ...], list[Finding]]]:
    """Credentials with the same reasons stand together."""
    groups: dict[tuple[Reason, ...], list[Finding]] = {}
    for finding in found:
        groups.setdefault(finding.reasons, []).append(finding)
    return list(groups.items())


def _row(finding: Finding) -> tuple[str, str, str, str]:
    """Credential, class, age, where its value is kept."""
    from irkit.text import printable

    credential = finding.credential
    kind = "" if credential.ref.kind == "Secret" else f"{credential.ref.kind} "
    name = printable(kind + credential.name, 120)
    age = "age not known" if finding.age is None else f"{finding.age:.0f} d"
    if finding.expires is not None:
        age = f"ends in {finding.expires:.0f} d" if finding.expires >= 0 else f"ended {-finding.expires:.0f} d ago"
    return name, credential.cls, age, printable(_place(credential.source), 120)


def _place(source: Source) -> str:
    match source.kind:
        case "external-secret" | "vault" | "csi":
            where = "/".join(p for p in (source.mount, source.path) if p)
            names = sorted(set(source.properties.values()))
            return f"{source.provider or source.kind} {where}" + (f"#{','.join(names)}" if names else "")
        case "certificate":
            return f"{source.issuer}"
        case "service-account":
            return "the cluster"
    return source.owner or "the Secret itself"


def _facts(finding: Finding) -> list[str]:
    """Who else uses it, and what is to be known of its source."""
    from irkit.text import printable

    shared = finding.shared_with
    more = f" and {len(shared) - 5} more" if len(shared) > 5 else ""
    return ([f"also used by {', '.join(printable(s) for s in shared[:5])}{more}"] if shared else []) + [
        printable(note, 300) for note in finding.credential.source.notes
    ]
