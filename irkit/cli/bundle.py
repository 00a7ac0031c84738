"""`irkit bundle`: evidence, looked at."""

from __future__ import annotations

from typing import Annotated

import typer

from irkit.cli import options
from irkit.cli.main import SETTINGS

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False, context_settings=SETTINGS, help="Verify and show evidence.")
Path = Annotated[str | None, typer.Argument(metavar="[PATH|ID]", help="A bag, or an incident; without it, the newest incident", show_default=False)]


@app.command()
def verify(path: Path = None, output: options.Output = "text") -> int:
    """Whether a bag is complete and unchanged (BagIt, RFC 8493). Any BagIt tool answers the same."""
    from irkit import wiring
    from irkit.app import bundles
    from irkit.cli import output as streams
    from irkit.text import plural, printable, size

    report = bundles.verify(bundles.locate(wiring.settings(), path))
    code: int = report["exitCode"]
    if output == "json":
        streams.document(report)
        return code
    out = streams.stdout()
    name = printable(report["path"], 1000)
    if code == 0:
        out.line(f"Valid. {name}: {plural(report['files'], 'file')}, {size(report['octets'])}, by {' and '.join(report['algorithms'])}.")
        out.line(f"  next:      irkit bundle show {name}")
        return code
    out.line(f"6: {name} is not as it was sealed: {plural(len(report['problems']), 'problem')}", style="red")
    for problem in report["problems"][:50]:
        out.line(f"   {printable(problem, 400)}", hang=5)
    if len(report["problems"]) > 50:
        out.line(f"   and {len(report['problems']) - 50} more; -o json lists all")
    out.line("  next:      compare with another copy of the bag, and with the hash in the journal")
    return code


@app.command()
def show(path: Path = None, output: options.Output = "text") -> int:
    """What is in a bag, as a table, and what happened, as a timeline."""
    from irkit import wiring
    from irkit.app import bundles
    from irkit.cli import output as streams
    from irkit.text import plural, printable

    found = bundles.show(bundles.locate(wiring.settings(), path))
    if output == "json":
        streams.document(found)
        return 0
    out = streams.stdout()
    for name, value in found["info"].items():
        out.line(f"  {printable(name, 40):<28} {printable(value, 300)}", hang=31)
    out.line()
    streams.table(
        out, ("file", "bytes", "what"), [(e["path"], str(e["size"]), e["what"] + ("" if e["complete"] else " (cut short)")) for e in found["entries"]]
    )
    for gap in found["missing"]:
        out.line(f"  not got: {printable(gap['what'], 120)} ({printable(gap['why'], 200)})", hang=4)
    out.line()
    for moment in found["timeline"]:
        out.line(
            f"  {printable(moment['at'], 40):<30} {moment['kind']:<9} {printable(moment['subject'], 80)}: {printable(moment['text'], 200)}", hang=43
        )
    out.line(f"  {plural(len(found['entries']), 'file')}, {plural(len(found['timeline']), 'moment')}")
    out.line(f"  next:      irkit bundle verify {printable(found['path'], 1000)}")
    return 0
