"""Which scenario is next: by what the player has mastered on this machine."""

from __future__ import annotations

from pathlib import Path

from irkit import wiring
from irkit.app import live
from irkit.cli.output import Out
from irkit.errors import IrkitError
from irkit.game import ledger, loader
from irkit.model.scenario import Scenario
from irkit.text import printable


def choose(home: Path, player: str, *, hard: bool = False) -> Scenario | None:
    """The easiest that the player has not mastered yet, or the hardest; None: all are mastered. Raises PlaybookError, UsageError."""
    known = [loader.load(path) for path in loader.listed(wiring.scenarios()).values()]
    return live.next_scenario(known, ledger.mastered(home, player), hard=hard)


def hint(err: Out, home: Path, player: str) -> None:
    """Its name, below what was just played; a scenario or a history that can't be read is told by the command that needs it."""
    try:
        found = choose(home, player)
    except IrkitError:
        return
    if found is not None:
        err.line(f"           irkit rehearse --scenario {printable(found.name)}")
        err.line(f"                                         the first game that you have not mastered: {printable(found.title, 200)}")
