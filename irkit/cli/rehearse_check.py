"""`irkit rehearse check`: whether a scenario can be mastered, and whether that makes a difference."""

from __future__ import annotations

from typing import Annotated

import typer

from irkit.cli import options
from irkit.cli.sandbox import Seed


def check(
    name: Annotated[str, typer.Argument(help="Name or path of a scenario", metavar="NAME|FILE", show_default=False)],
    seed: Seed = 0,
    output: options.Output = "text",
) -> int:
    """Play a scenario with irkit's best response, with doing nothing, and with the usual kubectl commands; compare the scores.

    Exit code 0: it can be mastered, and who masters it is told from who does not; 5: one of the two does not hold.
    """
    from irkit import wiring
    from irkit.app import gameday
    from irkit.cli import games
    from irkit.cli import output as streams
    from irkit.game import loader

    scenario = loader.find(name, wiring.scenarios())
    found = gameday.check(scenario, lambda player, commands: games.played(scenario, seed, player, commands))
    if output == "json":
        streams.document(found)
    else:
        out = streams.stdout()
        for player, brief in (("irkit", found.best), ("nobody", found.nothing), ("the usual commands", found.naive)):
            out.line(f"  {player:<18} {brief['score']:>3} of 100")
        out.line("It can be mastered." if found.solvable else f"5: irkit itself does not reach {gameday.SOLVED} points: it can't be mastered.")
        apart = f"{gameday.APART} points"
        out.line(
            f"A good response is at least {apart} above the others."
            if found.discriminating
            else f"5: a good response is not {apart} above the others."
        )
    return 0 if found.solvable and found.discriminating else 5
