"""What goes wrong around a game costs nobody its card, and what is killed leaves nothing that the next one does not take away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from irkit.app import team
from irkit.cli import gamebook, games, main, rehearse_live
from irkit.errors import UsageError
from irkit.game import loader

FIRST = loader.find("first-contact")


def test_a_card_is_shown_though_irkit_s_own_play_fails(tmp_path: Path) -> None:
    scenario = loader.loads(FIRST.source + b"best: [kubectl logs]\n", "mine.yaml")
    card = games.played(scenario, 0, "somebody", ())
    assert gamebook.entered(gamebook.Book(tmp_path, None), card, scenario, "free").compared is None


def test_a_card_is_shown_though_it_comes_into_no_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "games").touch()
    game = rehearse_live.Game(scenario=FIRST, name="somebody", book=gamebook.Book(tmp_path, None))
    assert rehearse_live.tell(games.played(FIRST, 0, "somebody", ()), game) == 2
    out, err = capsys.readouterr()
    assert out.startswith(f"{FIRST.title}, seed 0: 0 of 100 points")
    assert "the game is in no history" in err


@pytest.mark.parametrize("page", ["/nowhere/card.html", "."])
def test_a_page_that_can_t_be_written_is_said_before_the_game(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["rehearse", "--watch", "--html", page]) == 2
    out, err = capsys.readouterr()
    assert (out, "can't be written" in err) == ("", True)


def test_a_directory_in_which_others_may_write_is_no_game_to_join(tmp_path: Path) -> None:
    """What a game answers becomes variables of the shell that joins."""
    team.Door(tmp_path, lambda name: {})
    with pytest.raises(UsageError, match="does not answer"):
        team.join(tmp_path, "ann", "", lambda seconds: None)
    for folder in (tmp_path, tmp_path / "team" / "answered"):
        folder.chmod(0o777)
        with pytest.raises(UsageError, match="others may write in it"):
            team.join(tmp_path, "ann", "", lambda seconds: None)
        folder.chmod(0o700)


def test_an_answer_that_can_t_be_read_is_one_sentence(tmp_path: Path) -> None:
    team.Door(tmp_path, lambda name: {})

    def rubbish(seconds: float) -> None:
        for question in (tmp_path / "team" / "asked").glob("*.json"):
            (tmp_path / "team" / "answered" / question.name).write_bytes(b"\xff{")

    with pytest.raises(UsageError, match="can be read"):
        team.join(tmp_path, "ann", "", rubbish)


@pytest.mark.parametrize("words", [["sandbox"], ["rehearse", "--scenario", "todo-app"]])
def test_what_a_killed_rehearsal_leaves_goes_with_the_next(words: list[str], tmp_path: Path) -> None:
    environ = {**os.environ, "TMPDIR": str(tmp_path), "IRKIT_HOME": str(tmp_path / "home")}
    with subprocess.Popen([sys.executable, "-m", "irkit", *words], env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as playing:  # fmt: skip
        stream = playing.stdout if words == ["sandbox"] else playing.stderr
        assert stream is not None
        assert stream.readline()
        playing.send_signal(signal.SIGKILL)
        playing.communicate()
    assert len([p for p in tmp_path.iterdir() if p.name.startswith("irkit-")]) == 1
    subprocess.run([sys.executable, "-c", "from irkit.cli import gamedir\nwith gamedir.directory(): pass"], env=environ, check=True)
    assert [p for p in tmp_path.iterdir() if p.name.startswith("irkit-")] == []
