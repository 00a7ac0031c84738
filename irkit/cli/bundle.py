"""`irkit bundle`: evidence, looked at."""

from __future__ import annotations

from pathlib import Path as Dir
from typing import Annotated, Any

import typer

from irkit.cli import options
from irkit.cli.main import SETTINGS

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, add_completion=False, context_settings=SETTINGS, help="Verify, show and push evidence."
)
Path = Annotated[str | None, typer.Argument(metavar="[PATH|ID]", help="A bag, or an incident; without it, the newest incident", show_default=False)]

Place = Annotated[str | None, typer.Argument(metavar="[PATH|ID|URL]", help="As for show, or s3://… of a bag that was pushed", show_default=False)]


@app.command()
def verify(
    path: Place = None,
    into: Annotated[Dir | None, typer.Option("--into", metavar="DIR", help="Of a bag in an object store: keep it below DIR")] = None,
    output: options.Output = "text",
) -> int:
    """Whether a bag is complete and unchanged (BagIt, RFC 8493). Any BagIt tool answers the same."""
    import tempfile

    from irkit import wiring
    from irkit.app import bundles

    configured = wiring.settings()
    if not (path or "").startswith("s3://"):
        return _judged(bundles.verify(bundles.locate(configured, path)), output)
    if into is not None:
        into.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _judged(bundles.verify(bundles.fetch(lambda to: wiring.store(configured, to), path or "", into)), output)
    with tempfile.TemporaryDirectory(prefix="irkit-") as directory:
        bag = bundles.fetch(lambda to: wiring.store(configured, to), path or "", Dir(directory))
        return _judged({**bundles.verify(bag), "path": path}, output)


def _judged(report: dict[str, Any], output: str) -> int:
    from irkit.cli import output as streams
    from irkit.text import plural, printable, size

    code: int = report["exitCode"]
    if output == "json":
        streams.document(report)
        return code
    out = streams.stdout()
    name = printable(report["path"], 1000)
    if code == 0:
        out.line(f"Valid. {name}: {plural(report['files'], 'file')}, {size(report['octets'])}, by {' and '.join(report['algorithms'])}.")
        shown = f"irkit bundle verify {name} --into DIR   (keeps it here)" if name.startswith("s3://") else f"irkit bundle show {name}"
        out.line(f"  next:      {shown}")
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


@app.command()
def push(
    path: Path = None,
    to: Annotated[str, typer.Option("--to", metavar="s3://BUCKET/PREFIX", help="Where to; without it, the settings' store")] = "",
    output: options.Output = "text",
) -> int:
    """Copy sealed bags to an object store (S3 protocol), each as one tar, and verify what it took. Overwrites nothing."""
    from irkit import wiring
    from irkit.app import bundles
    from irkit.cli import output as streams
    from irkit.text import printable, size

    configured = wiring.settings()
    found = bundles.push(configured, wiring.clock(), wiring.store(configured, to), path)
    if output == "json":
        streams.document(found)
        return 0
    out = streams.stdout()
    for bag in found["bags"]:
        how = "was there already, the same" if bag["unchanged"] else "pushed, verified"
        out.line(f"  bag {bag['bag']}   {how}: {size(bag['octets'])}", hang=10)
        out.line(f"          {printable(bag['url'], 1000)}")
        out.line(f"          sha256 {bag['sha256']}" + (f", kept until {bag['keptUntil']}" if bag["keptUntil"] else ""))
    out.line(f"  next:      {printable(found['next'], 1000)}")
    return 0
