"""`irkit rehearse replay`: a past game once more."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from irkit.cli import options

if TYPE_CHECKING:
    from irkit.game.course import Moment

SLOWEST, FASTEST = 0.01, 100_000.0
Html = Annotated[Path | None, typer.Option("--html", metavar="PAGE", help="Write the card as one HTML page", show_default=False)]


def replay(
    file: Annotated[Path, typer.Argument(help="A game that was kept", metavar="FILE", show_default=False)],
    speed: Annotated[float, typer.Option("--speed", metavar="N", help="Seconds of the game in one second; 0: all at once")] = 0,
    html: Html = None,
    output: options.Output = "text",
) -> int:
    """Show a past game again: what happened when, and its card. The same world comes out, byte for byte, or it is said that it did not."""
    from irkit.cli import dashboard, games, scorecard
    from irkit.cli import output as streams
    from irkit.errors import UsageError
    from irkit.game import record
    from irkit.game import replay as again

    if speed and not SLOWEST <= speed <= FASTEST:  # nan is neither
        raise UsageError(f"--speed is a number from {SLOWEST:g} to {FASTEST:.0f}, or 0, which is all at once, not {speed:g}")
    scorecard.check(html)
    game = record.load(file)
    scenario = again.scenario_of(game)
    err, shown = streams.stderr(), 0.0

    def paced(moment: Moment) -> None:
        nonlocal shown
        if speed and moment.at > shown:
            time.sleep((moment.at - shown) / speed)
            shown = moment.at
        if output == "text":
            dashboard.line(err, moment)

    with games.staged(scenario, game.head.seed, origin=game.head.origin) as (stage, turns):
        card = again.replay(game, scenario, stage, turns, paced)
    scorecard.show(card, output, html)
    return 0
