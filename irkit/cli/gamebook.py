"""What is kept of a game that people play: its file, its line in the history, and what irkit made of the same."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from irkit import wiring
from irkit.app import gameday
from irkit.cli import games
from irkit.errors import IrkitError
from irkit.game import ledger, record
from irkit.game.card import Scorecard
from irkit.model.scenario import Scenario

IRKIT = "irkit"


class Book(msgspec.Struct, frozen=True):
    """Opened before the game, as its cluster has a home of its own. ``record``: the file that the game is kept in."""

    home: Path
    record: Path | None


def opened(scenario: Scenario, wanted: Path | None = None, *, always: bool = True) -> Book:
    """``wanted``: the file that somebody asked for; ``always``: keep the game in ``$IRKIT_HOME/games`` if nobody did."""
    home = wiring.settings().home
    return Book(home, wanted or (record.place(home, scenario, wiring.clock().now()) if always else None))


def entered(book: Book, card: Scorecard, scenario: Scenario, mode: str) -> Scorecard:
    """The card beside irkit's own play of the same scenario and seed, once the game is in the history. Raises UsageError."""
    if mode == "team":
        card = msgspec.structs.replace(card, team=", ".join(sorted(card.player.split(", "))))
    kept = book.record if book.record and book.record.exists() else None
    ledger.append(book.home, ledger.entry(card, wiring.clock().now(), scenario.digest, mode, kept))
    # who does not want to wait for it sees the card alone; so does whose scenario says nothing that irkit can type
    with suppress(KeyboardInterrupt, IrkitError):
        return beside(card, scenario)
    return card


def beside(card: Scorecard, scenario: Scenario) -> Scorecard:
    """The card with irkit's own play of the same scenario and seed, which takes about a second."""
    own = games.played(scenario, card.seed, IRKIT, gameday.best(scenario))
    return msgspec.structs.replace(card, compared={"player": IRKIT, "score": own.score, "times": own.times})


def mastered(player: str) -> set[str]:
    """The scenarios that a player has mastered on this machine. Raises UsageError."""
    return ledger.mastered(wiring.settings().home, player)
