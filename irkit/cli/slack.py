"""`irkit slack`: evidence and containment from a chat, over Socket Mode: no port is opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from irkit.cli import options
from irkit.cli.main import SETTINGS

if TYPE_CHECKING:
    from irkit.listeners.log import Log
    from irkit.ports.chat import Chat
    from irkit.settings import Settings

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings=SETTINGS)


@app.callback(invoke_without_command=True)
def slack(
    ctx: typer.Context, context: options.Context = None, kubeconfig: options.Kubeconfig = None, playbooks: options.Playbooks = None
) -> int | None:
    """Listen to Slack, and see to the orders that come from there, until it is ended (SIGTERM, Ctrl-C).

    SLACK_APP_TOKEN and SLACK_BOT_TOKEN are in the environment; who may ask and approve is in the settings, under slack.
    """
    if ctx.invoked_subcommand is not None:
        return None
    from irkit import wiring
    from irkit.listeners.log import Log

    configured = wiring.settings(context=context, kubeconfig=kubeconfig, playbooks=playbooks)
    log, chat = Log(wiring.clock()), wiring.slack()
    ours(chat, configured, log)
    return _listen(chat, configured, log, options.words(context, kubeconfig, playbooks), options.words(context, kubeconfig))


@app.command()
def setup() -> int:
    """Print the steps, and check the tokens, their scopes, the settings and the channels. Posts nothing."""
    from irkit import wiring
    from irkit.cli import output as streams
    from irkit.errors import UsageError, worst
    from irkit.listeners.slack.manifest import STEPS
    from irkit.listeners.slack.setup import examine

    out = streams.stdout()
    for line in STEPS.splitlines():
        out.line(line, hang=3)
    out.line()
    try:
        found = list(examine(wiring.slack(), wiring.settings()))
    except UsageError as error:
        out.line(f"x {error.message}", style="red", hang=2)
        out.line(f"  next:      {error.next or error.otherwise}")
        return error.exit_code
    for finding in found:
        mark = {"ok": " ", "note": "!", "bad": "x"}[finding.level]
        out.line(f"{mark} {finding.text}", style={"ok": "", "note": "yellow", "bad": "red"}[finding.level], hang=2)
    code = worst(f.exit_code for f in found if f.level == "bad")
    out.line(f"  next:      {'irkit slack setup' if code else 'irkit slack'}")
    return code


@app.command()
def manifest() -> int:
    """Print the app manifest for Slack, with the scopes that your settings need and no other."""
    from irkit import wiring
    from irkit.listeners.slack.manifest import manifest as written

    print(written(wiring.settings().slack), end="")
    return 0


def ours(chat: Chat, configured: Settings, log: Log) -> None:
    """Raises UsageError without a workspace, ForbiddenError for tokens that Slack refuses, RefusedError for those of another one."""
    from irkit.errors import RefusedError, UnreachableError, UsageError
    from irkit.text import printable

    if not configured.slack.team:
        raise UsageError("the settings name no workspace: slack.team", next="irkit slack setup")
    try:
        identity = chat.whose()
    except UnreachableError as error:  # orders are carried out all the same
        log("slack-not-connected", level="warning", what=error.message)
        return
    if identity.team != configured.slack.team:
        raise RefusedError(f"the tokens are of workspace {printable(identity.team, 30)}, and slack.team is {configured.slack.team}",
                           next="irkit slack setup")  # fmt: skip


def _listen(chat: Chat, configured: Settings, log: Log, working: Sequence[str], reading: Sequence[str]) -> int:
    import functools
    import signal
    import threading
    from contextlib import ExitStack, closing

    from irkit import wiring
    from irkit.listeners import slack as listener
    from irkit.listeners.loop import Loop, Teller

    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    with ExitStack() as stack:
        connected = stack.enter_context(wiring.cluster(configured))
        ports = wiring.ports(configured, lambda event: None)
        queue, clock = wiring.orders(configured, connected), wiring.clock()
        runner = stack.enter_context(closing(wiring.runner(configured, connected, queue, working)))
        asking = stack.enter_context(closing(wiring.asking(reading)))
        leader = stack.enter_context(closing(wiring.leader(configured, queue, lambda said: log("leader", what=said))))
        leader.start()
        tell: list[Teller] = []
        loop = Loop(queue, runner, configured, clock, log, leader.leads, tell)
        uid = functools.cache(lambda: ports.connection.identify().uid)
        begun = listener.start(chat, queue, configured, clock, log, cluster=uid, read=asking.ask, wake=loop.wake, reader=connected)
        stack.callback(begun.close)
        stack.callback(asking.close)  # first: nobody waits for an answer any more
        tell.append(begun.tell)
        log("began", queue=queue.where)
        loop.run(over)
    log("ended")
    return 0
