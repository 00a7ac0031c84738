"""Several people play one game, from terminals of their own."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.game.table import irkit, left, table


def joined(room: Path, home: str, *words: str) -> subprocess.CompletedProcess[str]:
    return irkit({"TMPDIR": str(room)}, "rehearse", "--join", home, *words)


def exported(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    assert done.returncode == 0, done.stderr
    return dict(line.removeprefix("export ").split("=", 1) for line in done.stdout.splitlines())


def test_several_people_play_and_the_card_says_who_did_what(room):
    with table(room, "--team", "-o", "json") as playing:
        home = re.findall(r"--join (\S+)", playing.said("--join "))[0]
        suspect = re.findall(r"in pod (\S+)", playing.said("alert"))[0]
        ana = exported(joined(room, home, "--as", "ana", "--role", "commander"))
        ben = exported(joined(room, home, "--as", "ben", "--role", "operations"))
        assert ana["KUBECONFIG"] != ben["KUBECONFIG"]
        assert exported(joined(room, home, "--as", "ana")) == ana  # whoever comes back is the same
        for environ, command in ((ben, "contain"), (ana, "collect")):
            done = irkit(environ, command, suspect, "-n", "todo-app", *(["--yes"] if command == "contain" else []))
            assert done.returncode == 0, done.stderr
        assert "operations           ben" in joined(room, home, "--as", "ben", "--role", "commander").stderr  # ana goes home
        playing.process.send_signal(signal.SIGINT)
        card = json.loads(playing.ended())
    assert card["player"] == "ana, ben"
    held = [(r["role"], r["who"], r["to"] is None) for r in card["roles"]]
    assert held == [("incident commander", "ana", False), ("operations", "ben", True), ("incident commander", "ben", True)]
    did = {who: {d["what"] for d in card["did"] if d["who"] == who} for who in ("ana", "ben")}
    assert set(did) == {d["who"] for d in card["did"]}
    assert any(what.startswith("create networkpolicies") for what in did["ben"])
    assert "read pods/log in todo-app" in did["ana"]
    assert not any(what.startswith(("patch", "delete")) for what in did["ana"])
    assert [d["at"] for d in card["did"]] == sorted(d["at"] for d in card["did"])
    assert left(room) == []


def test_a_role_that_nobody_has_and_one_that_is_passed_on_are_told(room):
    with table(room, "--team") as playing:
        home = re.findall(r"--join (\S+)", playing.said("--join "))[0]
        assert "incident commander   nobody" in joined(room, home, "--as", "ana").stderr
        exported(joined(room, home, "--as", "ana", "--role", "scribe"))
        exported(joined(room, home, "--as", "ben", "--role", "scribe"))
        playing.said("role     scribe: passed on from ana to ben")
        playing.process.send_signal(signal.SIGTERM)
        card = playing.ended()
    assert "role       scribe: ana, from 00:" in card
    assert "role       incident commander: nobody" in card


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--as", "system:masters"), "can't be a player's name"),
        (("--as", "kube-scheduler"), "can't be a player's name"),
        (("--as", "a\x1b[2J"), "can't be a player's name"),
        (("--as", "ana", "--role", "boss"), "there is no role 'boss'; there are commander"),
        ((), "--join needs --as NAME"),
    ],
)
def test_who_can_t_join_hears_why(room, words, why):
    with table(room, "--team") as playing:
        home = re.findall(r"--join (\S+)", playing.said("--join "))[0]
        done = joined(room, home, *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert why in done.stderr
        assert "\x1b" not in done.stderr


def test_what_is_no_game_is_not_joined_and_rubbish_at_the_door_harms_nobody(room):
    assert "is not the directory of a game" in joined(room, str(room), "--as", "ana").stderr
    with table(room, "--team") as playing:
        home = re.findall(r"--join (\S+)", playing.said("--join "))[0]
        (Path(home) / "team" / "asked" / "x.json").write_bytes(b"\xff{" * 3000)
        (Path(home) / "team" / "asked" / "y.json").symlink_to("/dev/zero")
        assert exported(joined(room, home, "--as", "ana"))
