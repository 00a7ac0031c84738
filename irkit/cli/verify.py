"""`irkit verify`: read-only proof."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from irkit.cli import options
from irkit.cli.main import SETTINGS

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings=SETTINGS)


class _Watching(TyperCommand):
    """``--watch`` alone goes on with a watch; with a duration, it begins one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for number, word in enumerate(args):
            if word == "--":
                break
            if word == "--watch" and not (number + 1 < len(args) and re.fullmatch(r"[0-9][0-9hms.]*", args[number + 1])):
                args = [*args[:number], "--watch=", *args[number + 1 :]]
        return super().parse_args(ctx, args)


@app.command(cls=_Watching)
def verify(
    target: Annotated[
        str | None, typer.Argument(metavar="[TARGET|ID]", help="POD, kind/name or an incident; without it, the newest incident")
    ] = None,
    selector: options.Selector = None,
    namespace: options.Namespace = "",
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    output: options.Output = "text",
    explain: Annotated[bool, typer.Option("--explain", help="Why each policy does or does not concern the pod")] = False,
    watch: Annotated[str | None, typer.Option("--watch", metavar="[24h]", help="Look again for so long and say what drifts; alone: go on")] = None,
) -> int:
    """Judge whether a pod is cut off, and of an incident that all its end states hold.

    Those are: the workload stopped, or back with its new image, ready, reachable and steady; the old image nowhere, old
    secrets not back; the pod alive; nothing tampered with or reverted.
    """
    from irkit import wiring
    from irkit.app import verify as cases
    from irkit.cli.running import run

    configured = wiring.settings(context=context, kubeconfig=kubeconfig)
    if watch is not None:
        from irkit.app import watching

        return run(lambda ports: watching.watch(ports, target, selector, namespace, _seconds(watch)), form=output, configured=configured)
    return run(lambda ports: cases.verify(ports, target, selector, namespace, explain=explain), form=output, configured=configured)


def _seconds(text: str) -> float | None:
    """Raises UsageError."""
    from irkit.engine import parameters
    from irkit.errors import UsageError
    from irkit.text import printable

    if not text:
        return None
    if (seconds := parameters.seconds(text)) is None:
        raise UsageError(f"--watch takes {parameters.expected('duration')}, not '{printable(text, 40)}'", next="irkit verify ID --watch 24h")
    return seconds
