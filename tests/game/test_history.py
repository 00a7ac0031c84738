"""Games are remembered: who played what and how well, whatever happens to the file."""

from __future__ import annotations

import json
import multiprocessing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from irkit.app import gameday
from irkit.cli import gamebook, games, main
from irkit.errors import UsageError
from irkit.game import ledger, loader
from irkit.game.ledger import Played

FIRST = loader.find("first-contact")
BEGAN = datetime(2026, 11, 1, 9, tzinfo=UTC)


def game(number: int, score: int, *, player: str = "ada", team: str = "", scenario: str = "first-contact", contain: float | None = 60.0) -> Played:
    return Played(when=BEGAN + timedelta(days=number), player=player, team=team, scenario=scenario, seed=0, score=score,
                  times={"detect": 10.0, "contain": contain})  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IRKIT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main.run(["rehearse", "history", *words])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_what_was_played_is_there_in_the_order_of_time(home):
    for each in (game(3, 90), game(1, 20), game(2, 50)):
        ledger.append(home, each)
    assert [each.score for each in ledger.read(home)[0]] == [20, 50, 90]
    assert (home / ledger.FILE).stat().st_mode & 0o777 == 0o600


def test_mastered_is_what_somebody_has_once_solved(home):
    for each in (game(1, 85), game(2, 10), game(3, 79, scenario="gone"), game(4, 100, player="bo", scenario="miner")):
        ledger.append(home, each)
    assert ledger.mastered(home, "ada") == {"first-contact"}
    assert ledger.mastered(home, "nobody") == set()


def test_a_trend_is_the_newest_games_beside_those_before():
    games_ = [game(n, score, contain=contain) for n, (score, contain) in enumerate([(0, None), (20, 300.0), (40, 200.0), (80, 100.0), (100, 50.0)])]
    found = ledger.trend(games_)
    assert found is not None
    assert (found.games, found.score, found.times["contain"]) == (2, (30.0, 90.0), (250.0, 75.0))
    assert ledger.trend(games_[:1]) is None
    never = ledger.trend([game(1, 0, contain=None), game(2, 50)])
    assert never is not None
    assert list(never.times) == ["detect"]


DAMAGE = (b'{"when":"2026-11-02T09:00:00Z","player":"ada","scen\n', b"\xff\xfe\n", b"[" * 50_000 + b"\n", b"{}\n", b'"text"\n', b"\x00\x00\x00\n",
          b'{"when":"2026-11-02T09:00:00","player":"ada","scenario":"x","seed":0,"score":1}\n',
          b'{"when":"2026-11-02T09:00:00Z","player":"ada","scenario":"x","seed":0,"score":900}\n')  # fmt: skip


@pytest.mark.parametrize("line", DAMAGE, ids=range(len(DAMAGE)))
def test_a_damaged_line_is_said_and_skipped(home, capsys, line):
    ledger.append(home, game(1, 40))
    with (home / ledger.FILE).open("ab") as file:
        file.write(line)
    ledger.append(home, game(2, 60))
    code, out, err = asked(capsys)
    assert code == 0
    assert "line 2 of" in err
    assert "ada: 2 games" in out
    assert "40 → 60 points" in out


def test_a_line_that_was_torn_does_not_take_the_next_game_with_it(home):
    ledger.append(home, game(1, 40))
    with (home / ledger.FILE).open("ab") as file:
        file.write(b'{"when":"2026-')
    ledger.append(home, game(2, 60))
    played, damaged = ledger.read(home)
    assert ([each.score for each in played], [each.line for each in damaged]) == ([40, 60], [2])


def _many(home: Path, player: str) -> None:
    for number in range(50):
        ledger.append(home, game(number, 50, player=player))


def test_those_who_end_at_the_same_time_lose_nothing(home):
    players = [multiprocessing.get_context("spawn").Process(target=_many, args=(home, name)) for name in ("ada", "bo", "cy")]
    for each in players:
        each.start()
    for each in players:
        each.join()
    played, damaged = ledger.read(home)
    assert (len(played), damaged) == (150, [])


def test_players_and_teams_have_a_history_each(home, capsys):
    for each in (game(1, 40, team="blue"), game(2, 90, player="bo", team="blue"), game(3, 95)):
        ledger.append(home, each)
    code, out, _ = asked(capsys, "-o", "json")
    document = json.loads(out)
    assert (code, document["kind"], document["damaged"]) == (0, "History", [])
    names = [(next(iter(each)), next(iter(each.values())), len(each["games"]), each["mastered"]) for each in document["histories"]]
    assert names == [("player", "ada", 2, ["first-contact"]), ("player", "bo", 1, ["first-contact"]), ("team", "blue", 2, ["first-contact"])]
    assert document["histories"][0]["trend"]["score"] == [40, 95]
    code, out, _ = asked(capsys, "--player", "bo")
    assert "bo: 1 game" in out
    assert "ada" not in out


def test_nobody_and_somebody_else_is_said_in_a_sentence(home, capsys):
    code, out, _ = asked(capsys)
    assert (code, "Nobody has played here yet." in out) == (0, True)
    ledger.append(home, game(1, 40, player="ada\x1b[31m"))
    code, _, err = asked(capsys, "--player", "adaa")
    assert code == 2
    assert "nobody called 'adaa'" in err
    assert "\x1b" not in err + asked(capsys)[1]


def test_a_home_that_can_not_be_written_is_said(tmp_path):
    (tmp_path / "games").write_text("a file")
    with pytest.raises(UsageError, match="can't be added"):
        ledger.append(tmp_path, game(1, 1))
    with pytest.raises(UsageError, match="can't be read"):
        ledger.read(tmp_path)


def test_a_game_is_entered_with_what_irkit_made_of_the_same(home):
    book = gamebook.opened(FIRST)
    assert book.record is not None
    card = games.played(FIRST, 4, "ada", gameday.NAIVE, kept=book.record)
    entered = gamebook.entered(book, card, FIRST, "free")
    assert entered.compared is not None
    assert entered.compared["score"] > card.score
    assert entered.compared["times"]["rotate"] is not None
    (played,), _ = ledger.read(home)
    assert (played.player, played.score, played.seed, played.mode, played.digest) == ("ada", card.score, 4, "free", FIRST.digest)
    assert Path(played.file).is_file()
    assert gamebook.opened(FIRST).record != book.record
    assert gamebook.mastered("ada") == set()
