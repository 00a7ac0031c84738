"""`irkit serve`: alerts come in by webhook, rules say what is ordered then."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from irkit.cli import options
from irkit.cli.main import SETTINGS
from irkit.cli.serve_report import report
from irkit.cli.serve_schema import schema

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings=SETTINGS)
app.command()(report)
app.command()(schema)


@app.callback(invoke_without_command=True)
def serve(
    ctx: typer.Context,
    listen: Annotated[str, typer.Option("--listen", metavar="ADDR", help="Address and port, as in 127.0.0.1:8710", show_default=False)] = "",
    rules: Annotated[Path | None, typer.Option("--rules", metavar="PATH", help="A file of rules, or a directory of them")] = None,
    check: Annotated[bool, typer.Option("--check", help="Read settings, secrets and rules, say every mistake, and stop")] = False,
    slack: Annotated[bool, typer.Option("--slack", help="Listen to Slack, too, as irkit slack does")] = False,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    playbooks: options.Playbooks = None,
) -> int | None:
    """Take in alerts by webhook, and see to the orders that rules make of them, until it is ended (SIGTERM, Ctrl-C).

    Who may send is in the settings, under serve. What it does is one JSON object a line on stderr.
    """
    if ctx.invoked_subcommand is not None:
        return None
    import msgspec

    from irkit import wiring
    from irkit.listeners.log import Log
    from irkit.listeners.web.rules import loader
    from irkit.listeners.web.serving import Serving

    configured = wiring.settings(context=context, kubeconfig=kubeconfig, playbooks=playbooks)
    section = configured.serve
    configured = msgspec.structs.replace(
        configured, serve=msgspec.structs.replace(section, listen=listen or section.listen, rules=rules if rules is not None else section.rules)
    )
    found = loader.load(configured)
    log = Log(wiring.clock())
    serving = Serving(configured, found, log, options.words(context, kubeconfig, playbooks), options.words(context, kubeconfig))
    if check:
        _say(found, configured.serve.sources)
        return 0
    chat = wiring.slack() if slack else None
    if chat is not None:
        from irkit.cli.slack import ours

        ours(chat, configured, log)
    return serving.run(chat)


def _say(rules: object, sources: object) -> None:
    from irkit.cli import output as streams
    from irkit.text import plural

    counts = [len(found) for found in (rules, sources)]  # type: ignore[arg-type]
    streams.stdout().line(f"{plural(counts[0], 'rule')} for {plural(counts[1], 'source')}: nothing is wrong with them.")
