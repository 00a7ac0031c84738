"""The recording in docs/ is one that any asciicast player takes, and of a game that ends so today, too."""

from __future__ import annotations

import json

from irkit.app import gameday
from irkit.cli import games
from irkit.game import loader
from tests.docs import cast


def test_the_recording_is_of_a_game_that_ends_so_today():
    header, *events = [json.loads(line) for line in cast.PAGE.read_text().splitlines()]
    assert (header["version"], header["width"], header["height"]) == (2, cast.COLUMNS, cast.ROWS)
    assert header["command"] == " ".join(cast.COMMAND)
    times = [time for time, kind, _ in events if kind == "o"]
    assert times == sorted(times)
    assert times[-1] < 30
    scenario = loader.find(cast.COMMAND[-1])
    card = games.played(scenario, 0, "irkit", gameday.best(scenario))
    assert f"{card.title}, seed 0: {card.score} of 100 points" in events[-1][2]
    assert "/tmp" not in "".join(text for _, _, text in events)
