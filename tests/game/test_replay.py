"""The same scenario, seed and acts make the same world, byte for byte; a game comes out of its file as it was played."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from irkit.app import gameday
from irkit.cli import games, main
from irkit.errors import UsageError
from irkit.game import loader, record
from irkit.game.card import Scorecard
from irkit.game.course import Moment
from irkit.game.replay import replay, scenario_of
from irkit.stage import Asked
from tests.sample import sampled

FIRST = loader.find("first-contact")


@pytest.fixture(scope="module", params=["irkit", "naive", "nobody"])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Scorecard, list[Moment]]:
    """A game that was played, its card, and what could be seen of it."""
    commands = {"irkit": gameday.best(FIRST), "naive": gameday.NAIVE, "nobody": ()}[request.param]
    moments: list[Moment] = []
    path = tmp_path_factory.mktemp("games") / "game.jsonl"
    return path, games.played(FIRST, 3, request.param, commands, moments.append, kept=path), moments


def again(path: Path) -> tuple[Scorecard, list[Moment], str]:
    game = record.load(path)
    scenario, moments = scenario_of(game), list[Moment]()
    with games.staged(scenario, game.head.seed, origin=game.head.origin) as (stage, turns):
        return replay(game, scenario, stage, turns, moments.append), moments, stage.digest()


def test_a_game_comes_out_of_its_file_with_the_same_world_card_and_moments(kept):
    path, card, moments = kept
    made, seen, world = again(path)
    assert made == card
    assert seen == moments
    assert world == record.load(path).end.world


@pytest.mark.parametrize("hash_seed", ["1", "77"])
def test_it_does_so_in_another_process_too(kept, hash_seed):
    path, card, _ = kept
    done = subprocess.run([sys.executable, "-m", "irkit", "rehearse", "replay", str(path), "-o", "json"], capture_output=True,
                          env={**os.environ, "PYTHONHASHSEED": hash_seed})  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["score"] == card.score


def test_it_is_for_its_owner_alone_and_lets_nobody_in(kept, tmp_path):
    path, _, _ = kept
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert "X-Vault-Token" not in text
    assert "Authorization" not in text
    if any(a.server == "vault" for a in record.load(path).asked):
        assert "${irkit secret-id}" in text


CHANGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a letter": (lambda data: data.replace(b'"at":15', b'"at":16', 1) if b'"at":15' in data else data.replace(b'"seed":3', b'"seed":4'), "changed"),
    "a line less": (lambda data: b"\n".join([data.split(b"\n")[0], *data.split(b"\n")[2:]]), "cut short|changed"),
    "no end": (lambda data: b"\n".join(data.split(b"\n")[:-2]) + b"\n", "cut short|changed"),
    "half a line": (lambda data: data[:-20], "cut short"),
    "nothing": (lambda data: b"", "no game"),
    "another file": (lambda data: b'{"kind":"Scenario"}\n', "no game"),
    "bytes": (lambda data: b"\xff\xfe\x00" * 99, "no game"),
    "deep": (lambda data: b"[" * 100_000, "no game"),
    "a line in the middle": (lambda data: data.replace(b"\n", b"\n{}\n", 1), "changed"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_is_not_as_it_was_written_is_refused_in_one_sentence(kept, change, tmp_path):
    path, _, _ = kept
    edit, said = CHANGES[change]
    other = tmp_path / "game.jsonl"
    other.write_bytes(edit(path.read_bytes()))
    with pytest.raises(UsageError, match=said) as caught:
        record.load(other)
    assert "\n" not in caught.value.message


HOSTILE: dict[str, dict[str, object]] = {
    "an address that is none": {"server": "read", "method": "GET", "path": "http://["},
    "a body that is none": {"server": "vault", "method": "POST", "path": "secret/data/x", "body": "{"},
    "a body of another type": {"server": "vault", "method": "POST", "path": "secret/data/x", "body": "[1]"},
    "bytes that are none": {"server": "api", "method": "POST", "path": "/api/v1/namespaces/x/pods", "body": "***", "base64": True},
    "after days": {"server": "turn", "at": 3 * 24 * 3600 * 1000},
}


@pytest.mark.parametrize("line", HOSTILE)
def test_a_line_that_nobody_can_have_caused_is_one_sentence(kept, line, tmp_path, capsys):
    """Who makes up a game makes up its sum, too."""
    head, *asked, end = kept[0].read_bytes().split(b"\n")[:-1]
    before = b"".join(each + b"\n" for each in (head, json.dumps({"at": 100, **HOSTILE[line]}).encode(), *asked))
    path = tmp_path / "game.jsonl"
    path.write_bytes(before + json.dumps({**json.loads(end), "sum": hashlib.sha256(before).hexdigest()}).encode() + b"\n")
    assert main.run(["rehearse", "replay", str(path)]) == 2
    assert "unexpected" not in capsys.readouterr().err


def test_a_disk_that_is_full_does_not_disturb_the_game(tmp_path):
    """A file may have 20 kB here; a game of half an hour is longer; the card says what came of it."""
    script = ("import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
              "from irkit.cli import main; raise SystemExit(main.run(['rehearse', '--watch', '--record', 'game.jsonl']))")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, "IRKIT_HOME": str(tmp_path)}, capture_output=True,
                          stdin=subprocess.DEVNULL, text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stdout.partition(":")[0]) == (0, "A shell in the backend, seed 0")
    assert "The game is not kept: game.jsonl could not be written to its end." in done.stderr
    assert list(tmp_path.glob("*game*")) == []


def test_what_a_killed_game_wrote_down_goes_with_the_next(tmp_path):
    """A game is a hidden file until it is over, and whoever plays it holds its lock."""
    script = ("import os, sys; from pathlib import Path; from irkit.cli import games; from irkit.game import loader, record\n"
              "first = loader.find('first-contact')\n"
              "with games.staged(first, 0) as (stage, turns), record.recording(Path(sys.argv[1]), first, 0, 'x', stage, turns):\n"
              "    print('playing', flush=True); sys.stdin.read(1); os.kill(os.getpid(), 9)")  # fmt: skip
    path = tmp_path / "a.jsonl"
    with subprocess.Popen([sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as playing:
        assert playing.stdout is not None
        assert playing.stdout.readline() == b"playing\n"
        games.played(FIRST, 0, "test", (), kept=tmp_path / "b.jsonl")
        assert sorted(p.name for p in tmp_path.iterdir()) == [".a.jsonl.part", "b.jsonl"]
        with pytest.raises(UsageError, match="is there already"):
            games.played(FIRST, 0, "test", (), kept=path)
        playing.communicate(b"x")
    assert (tmp_path / ".a.jsonl.part").exists()
    games.played(FIRST, 0, "test", (), kept=tmp_path / "c.jsonl")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.jsonl", "c.jsonl"]


def test_what_is_not_there_and_what_is_there_already_is_said(kept, tmp_path):
    with pytest.raises(UsageError, match="can't be read"):
        record.load(tmp_path / "none")
    with pytest.raises(UsageError, match="can't be read"):
        record.load(tmp_path)
    with pytest.raises(UsageError, match="is there already"):
        games.played(FIRST, 0, "test", (), kept=kept[0])


@pytest.mark.parametrize("speed", ["nan", "-1", "inf", "1e9"])
def test_a_speed_that_is_none_is_said(kept, speed, capsys):
    assert main.run(["rehearse", "replay", str(kept[0]), f"--speed={speed}"]) == 2
    assert "--speed is a number from 0" in capsys.readouterr().err


def test_a_speed_takes_its_time(kept):
    began = time.monotonic()
    assert main.run(["rehearse", "replay", str(kept[0]), "--speed", "3000", "-o", "json"]) == 0
    assert time.monotonic() - began >= 0.5  # half an hour, or nearly: nothing is to be seen at its end


def test_a_game_that_is_broken_off_leaves_no_file(tmp_path):
    path = tmp_path / "new" / "game.jsonl"
    with pytest.raises(UsageError, match="know no"):
        games.played(FIRST, 0, "test", ("kubectl dance",), kept=path)
    assert list(path.parent.iterdir()) == []


def test_players_who_act_at_the_same_time_are_played_again_in_the_order_in_which_it_came(tmp_path):
    path = tmp_path / "game.jsonl"
    with games.staged(FIRST, 5, speed=50.0) as (stage, turns), record.recording(path, FIRST, 5, "three", stage, turns), games.hand() as hand:
        course = gameday.begin(FIRST, stage, turns, 5, lambda moment: None)
        lines = [[f"kubectl label pod ${{suspect}} -n ${{namespace}} by={n}-{k}" if k % 2 else "kubectl rollout restart ${workload} -n ${namespace}"
                  for k in range(8)] for n in range(3)]  # fmt: skip
        threads = [threading.Thread(target=lambda mine=mine: [hand(course.filled(c)) for c in mine]) for mine in lines]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            with turns.take():
                pass
        for thread in threads:
            thread.join()
        card = gameday.finish(course, 5, "three", turns.wait)
    assert len([a for a in record.load(path).asked if a.server == "api"]) == 24
    assert again(path)[0] == card


def test_what_only_time_broke_is_broken_at_the_same_time_again(tmp_path):
    """An outage is one once it lasts: nobody asks for anything when that begins."""
    scenario, path = loader.find("old-image"), tmp_path / "game.jsonl"
    moments: list[Moment] = []
    card = games.played(scenario, 1, "test", ("kubectl scale ${workload} -n ${namespace} --replicas=0",), moments.append, kept=path)
    assert any(m.kind == "lost" and m.text.startswith("no-outage") for m in moments)
    assert again(path)[:2] == (card, moments)


@pytest.mark.slow
@pytest.mark.parametrize("player", ["irkit", "naive"])
@pytest.mark.parametrize("name", sampled(sorted(loader.listed()), "first-contact", "gitops", "second-wave"))
def test_every_scenario_comes_out_as_it_was_played(tmp_path, name, player):
    scenario, path = loader.find(name), tmp_path / "game.jsonl"
    moments: list[Moment] = []
    commands = gameday.best(scenario) if player == "irkit" else scenario.naive or gameday.NAIVE
    card = games.played(scenario, 1, player, commands, moments.append, kept=path)
    assert again(path)[:2] == (card, moments)


def test_what_is_said_waits_for_a_turn_that_is_under_way():
    """Else a replay has the command at another time than the game: the request of an earlier command came in between."""
    with games.staged(FIRST, 0) as (stage, turns):
        course = gameday.begin(FIRST, stage, turns, 0, lambda moment: None)
        heard: list[Asked] = []
        inside = threading.Event()
        turns.heard = heard.append

        def late() -> None:
            with turns.take():
                inside.set()
                time.sleep(0.3)
                turns.heard(Asked(at=round(1000 * course.seconds), server="api"))

        thread = threading.Thread(target=late)
        thread.start()
        assert inside.wait(5)
        course.say("command", "kubectl get pods")
        thread.join()
        assert [asked.server for asked in heard] == ["api", "command"]
        assert heard[0].at <= heard[1].at == round(1000 * course.moments[-1].at)
