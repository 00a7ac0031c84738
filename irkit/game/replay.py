"""A game once more, from its file: the same world comes out, or it is said that it did not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from irkit.errors import EndStateError, PlaybookError, UsageError
from irkit.game import loader
from irkit.game.card import Scorecard, card
from irkit.game.course import SPOKEN, Course, Moment
from irkit.game.record import Game
from irkit.game.world import prepare
from irkit.model.scenario import Scenario
from irkit.stage import Asked, Repeatable, Turns


def scenario_of(game: Game) -> Scenario:
    """The scenario as it was when the game was played. Raises UsageError where this irkit can't read it."""
    try:
        return loader.loads(game.head.scenario.encode(), game.head.file or "scenario")
    except PlaybookError as error:
        raise UsageError(f"the game's scenario does not load with this irkit ({game.head.version} played it): {error.mistakes[0]}") from None


def replay(game: Game, scenario: Scenario, stage: Repeatable, turns: Turns, listen: Callable[[Moment], None] = lambda moment: None) -> Scorecard:
    """On a stage that was made from the game's origin. Raises EndStateError where it comes out otherwise."""
    prepare(scenario, stage, turns, game.head.seed)
    course = Course(scenario, stage, turns, listen)
    course.begin()
    for asked in game.asked:
        _again(asked, stage)
        if asked.server == "command" and asked.path in SPOKEN:
            course.say(cast("Any", asked.path), asked.body)
    _again(Asked(at=game.end.at, server="turn"), stage)
    course.end()
    made = card(course, game.head.seed, game.head.player)
    if stage.digest() != game.end.world or made.score != game.end.score:
        why = "the world is another one" if made.score == game.end.score else f"{made.score} points instead of {game.end.score}"
        raise EndStateError(f"the game did not come out as it was played: {why}; irkit {game.head.version} played it",
                            next=f"the same command with irkit {game.head.version}")  # fmt: skip
    return made


def _again(asked: Asked, stage: Repeatable) -> None:
    """Raises UsageError for what nobody can have asked."""
    try:
        stage.again(asked)
    except ValueError as error:
        raise UsageError(f"the game has a line that no player can have caused, {asked.at / 1000:.3f} s after the alert") from error
