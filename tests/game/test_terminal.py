"""Games at a terminal: what is drawn there, and a person who is led through one."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from irkit.app import gameday, live
from irkit.cli import games
from irkit.game import loader
from tests.game.table import left

FIRST = loader.find("first-contact")


def test_at_a_terminal_the_first_frame_comes_within_a_second_and_the_watch_ends_within_thirty(terminal, room):
    began = time.monotonic()
    watching = terminal("rehearse", "--watch")
    watching.until("so far")
    assert time.monotonic() - began < max(1.0, os.getloadavg()[0] / 2)
    end = watching.until("")
    assert time.monotonic() - began < 30
    assert "reached 00:15" in end
    assert "100 of 100 points" in end
    assert left(room) == []


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 60), (40, 16)])
def test_the_picture_fits_its_terminal(width, height):
    from rich.console import Console

    from irkit.adapters import console

    with games.staged(FIRST, 0) as (stage, turns):
        course = gameday.begin(FIRST, stage, turns, 0, lambda moment: None)
        for number in range(30):
            course.say("inject", f"somebody {number}: " + "well? " * 60)
        with live.Live(course) as going:
            shown = going.picture
    drawn = Console(width=width, height=height, markup=False).render_lines(console.drawn(shown, height - 1), pad=False)
    lines = ["".join(segment.text for segment in line) for line in drawn]
    assert len(lines) < height or height == 16  # the smallest is cropped, and begins with what matters
    assert all(len(line) <= width for line in lines)
    assert lines[0].startswith("A shell in the backend")
    assert any("somebody 29" in line for line in lines)


def test_the_picture_costs_little(terminal):
    playing = terminal("rehearse", "--free")
    playing.until("so far")
    time.sleep(1)
    before, began = busy(playing.process.pid), time.monotonic()
    time.sleep(4)
    assert (busy(playing.process.pid) - before) / (time.monotonic() - began) < 0.10


def busy(pid: int) -> float:
    """Seconds of the processor that it had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_person_is_led_through_the_commands_and_answers_what_they_ask(terminal, room):
    playing = terminal("rehearse", "--scenario", "first-contact")
    asked = playing.until("Enter runs it")
    assert "$ irkit respond compromised-pod" in asked
    assert "--yes" not in asked
    playing.type("\n")
    playing.until("[y/N]")
    playing.type("y\n")
    playing.until("[y/N]")
    playing.type("\x03")
    playing.until("130: interrupted")
    playing.until("Another irkit command")
    playing.type("rm -rf /\n")
    playing.until("only irkit's commands")
    playing.type("irkit resume\n")
    playing.until("[y/N]")
    playing.type("n\n")
    playing.until("Another irkit command")
    playing.type("\n")
    card = playing.until("")
    assert "of 100 points" in card
    assert "cut-off:" not in card
    assert "app-keys:" in card
    assert playing.process.wait() == 0
    assert left(room) == []


def test_a_command_that_comes_when_the_time_is_over_is_not_run(terminal, room):
    playing = terminal("rehearse", "--scenario", "first-contact", "--speed", "2000")
    playing.until("Enter runs it")
    time.sleep(1.5)  # fifty minutes
    playing.type("\n")
    end = playing.until("")
    assert "the time is over; how it stands now is how it ended" in end
    assert "0 of 100 points" in end
    assert "Incident" not in end


def test_a_rehearsal_at_a_terminal_ends_with_the_first_game_that_is_not_mastered(terminal, room):
    playing = terminal("rehearse", "--yes")
    assert "irkit rehearse --scenario first-contact" in playing.until("")
    done = terminal("rehearse", "--free", "--speed", "2000")
    assert "A shell in the backend" in done.until("")


def test_without_a_word_a_person_is_led_through_the_first_that_is_not_mastered(terminal, room):
    playing = terminal("rehearse")
    assert "A shell in the backend" in playing.until("Enter runs it")
    playing.type("\x03")
    assert "0 of 100 points" in playing.until("")


def test_ctrl_c_at_the_question_which_command_to_run_ends_the_game_with_a_card(terminal, room):
    playing = terminal("rehearse", "--scenario", "first-contact")
    playing.until("Enter runs it")
    playing.type("\x03")
    assert "0 of 100 points" in playing.until("")
    assert left(room) == []
