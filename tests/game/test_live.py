"""Games that people play: over HTTP, from other processes, with Ctrl-C and worse."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from irkit.app import gameday, live
from irkit.cli import games
from irkit.game import loader
from irkit.game.course import Moment
from irkit.model.picture import Picture
from irkit.sandbox.stage import BoxStage
from tests.game.table import irkit, left, table

FIRST = loader.find("first-contact")


def test_a_game_is_played_from_another_terminal_and_only_the_end_state_counts(room):
    with table(room, "--free", "--speed", "60") as playing:
        environ = playing.exports()
        told = playing.said("next:")
        suspect = told.partition("next:")[2].split()[3]
        assert "The runtime monitor saw a shell" in told
        done = irkit(environ, "contain", suspect, "-n", "todo-app", "--yes")
        assert done.returncode == 0, done.stderr
        assert Path(environ["IRKIT_HOME"], "incidents").is_dir()
        playing.said("reached  cut-off")
        assert "  act " not in playing.said("product owner")  # what the attacker does is theirs to find
        playing.process.send_signal(signal.SIGINT)
        card = playing.ended()
    assert "points" in card
    assert "ended by hand" in playing.said("ended by hand")
    assert "cut-off:" not in card
    assert "app-keys: Secret" in card
    assert left(room) == []


def test_the_card_of_a_free_game_is_a_document_and_its_lines_go_elsewhere(room):
    with table(room, "--free", "-o", "json", "--speed", "2000") as playing:
        card = json.loads(playing.ended())  # half an hour in a second
        told = playing.said("the time is over")
    assert (card["kind"], card["scenario"], card["score"]) == ("Scorecard", "first-contact", 0)
    assert "export KUBECONFIG=" in told


def test_things_happen_at_their_times_without_anybody_asking():
    moments: list[Moment] = []
    with games.staged(FIRST, 0, speed=100.0) as (stage, turns):
        course = gameday.begin(FIRST, stage, turns, 0, moments.append)
        with live.Live(course) as going:
            until = time.monotonic() + 10
            while course.seconds < 95 and time.monotonic() < until:
                time.sleep(0.05)
            assert going.check() == ""
            assert going.picture.seconds > 0
    assert [m.at for m in moments if m.kind == "inject"] == [60.0]
    assert [m.at for m in moments if m.kind == "act"][:3] == [10.0, 15.0, 40.0]


def test_it_is_over_when_all_goals_are_reached_and_nothing_new_is_to_come():
    with games.staged(FIRST, 0, speed=1.0) as (stage, turns), games.hand() as do:
        course = gameday.begin(FIRST, stage, turns, 0, lambda moment: None)
        with live.Live(course) as going:
            gameday.respond(course, gameday.best(FIRST), do, turns.wait)
            assert not live.reached(course)  # the stolen token is used for the first time at 90 s
            turns.wait(90)
            assert going.wait() == "all goals are reached"
            assert going.picture.over == "all goals are reached"
            assert {s.state for s in going.picture.stakes} == {"reached", "kept"}
        assert gameday.finish(course, 0, "test", turns.wait).score == 100


def test_what_goes_wrong_in_the_game_is_raised_where_it_is_waited_for():
    with games.staged(FIRST, 0) as (stage, turns):
        course = gameday.begin(FIRST, stage, turns, 0, lambda moment: None)

        def broken() -> None:
            raise ZeroDivisionError

        with live.Live(course) as going:
            turns.look = broken
            with pytest.raises(ZeroDivisionError):
                going.wait()
            turns.look = lambda: None


def test_a_namespace_that_a_player_deletes_is_said_in_a_sentence_and_the_game_goes_on(room):
    with table(room, "--free", "--speed", "1") as playing:
        environ = playing.exports()
        script = ("from irkit import wiring; from irkit.model.kube import NAMESPACES, ObjectRef\n"
                  "with wiring.cluster(wiring.settings()) as cluster: cluster.delete(ObjectRef(resource=NAMESPACES, name='todo-app'))")  # fmt: skip
        subprocess.run([sys.executable, "-c", script], env={**os.environ, **environ}, check=True, timeout=30)
        playing.said("namespace todo-app is gone, with all that was in it")
        assert irkit(environ, "doctor").returncode in (0, 5)  # the cluster still answers
        playing.process.send_signal(signal.SIGINT)
        assert "nobody-else" in playing.ended()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after", [0.3, 0.5, 0.8])
def test_an_interrupt_in_any_phase_leaves_nothing_behind(room, number, after):
    with table(room, "--watch", "--speed", "100") as playing:
        time.sleep(after)
        playing.process.send_signal(number)
        playing.process.wait(timeout=10)
        assert playing.process.returncode in (130, -number, 0)
        assert "Traceback" not in playing.said("")
    assert left(room) == []


def test_what_a_killed_game_left_goes_with_the_next_and_a_game_that_goes_on_stays(room):
    with table(room, "--free") as killed, table(room, "--free") as other:
        killed.exports()
        here = other.exports()
        killed.process.kill()
        killed.process.wait(timeout=10)
        assert len(left(room)) == 2
        with table(room, "--free", "--speed", "2000") as third:
            third.exports()
            assert third.ended()
        assert left(room) == [Path(here["IRKIT_HOME"]).parent.name]
        other.process.send_signal(signal.SIGINT)
        other.ended()
    assert left(room) == []


def test_a_player_whose_irkit_is_killed_goes_on_with_it(room):
    with table(room, "--free") as playing:
        environ = playing.exports()
        suspect = playing.said("next:").partition("next:")[2].split()[3]
        words = [sys.executable, "-m", "irkit", "contain", suspect, "-n", "todo-app", "--yes"]
        run = subprocess.Popen(words, env={**os.environ, **environ}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert run.stderr
        while "created" not in run.stderr.readline():
            assert run.poll() is None or run.returncode == 0
        run.kill()
        run.communicate()
        assert irkit(environ, "resume", "--yes").returncode == 0
        playing.said("reached  cut-off")


@pytest.mark.parametrize("speed", ["-1", "nan", "1e9"])
def test_a_speed_that_none_can_have_is_one_sentence(room, speed):
    with table(room, "--free", "--speed", speed) as playing:
        playing.ended(2)
        assert "2: --speed is a number" in playing.said("--speed")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--free", "--watch"), "--watch and --free are two ways to play"),
        (("--as", "ana"), "--as goes with --join DIR"),
        (("--free", "--board", "--port", "70000"), "--port is a number from 0 to 65535"),
        (("--watch", "--scenario", "first-contakt"), "did you mean first-contact?"),
    ],
)
def test_options_that_can_t_be_are_one_sentence(room, words, why):
    with table(room, *words) as playing:
        playing.ended(2)
        assert why in playing.said("next:")
    assert left(room) == []


def test_a_headless_game_at_speed_1000_takes_seconds(room):
    began = time.monotonic()
    with table(room, "--watch", "--speed", "1000", "-o", "json") as playing:
        assert json.loads(playing.ended())["score"] == 100
    assert time.monotonic() - began < 5 * max(1.0, os.getloadavg()[0] / 2)


def test_however_much_there_is_to_wait_for_a_viewer_does_not_wait_longer_than_half_a_minute():
    slept: list[float] = []
    with games.staged(FIRST, 0) as (_, turns):
        wait = live.paced(turns, slept.append)
        for seconds in (15.0, 120.0, 1785.0) * 20:
            wait(seconds)
        assert 15 < sum(slept) < 25
        assert max(slept) <= 6
        slept.clear()
        live.paced(turns, slept.append, speed=10.0)(600.0)
        assert sum(slept) == pytest.approx(60.0)


def test_the_next_scenario_is_the_easiest_that_is_not_mastered():
    import msgspec

    harder = msgspec.structs.replace(FIRST, name="another", difficulty=3)
    assert live.next_scenario([harder, FIRST], set()) is FIRST
    assert live.next_scenario([harder, FIRST], {"first-contact"}) is harder
    assert live.next_scenario([harder, FIRST], {"first-contact", "another"}) is None
    assert live.next_scenario([harder, FIRST], set(), hard=True) is harder
    as_easy = msgspec.structs.replace(FIRST, name="a")
    assert live.next_scenario([as_easy, FIRST], set()) is FIRST  # everybody begins there


def test_a_picture_is_safe_to_show_whatever_the_cluster_is_called():
    with games.staged(FIRST, 0) as (stage, turns):
        course = gameday.begin(FIRST, stage, turns, 0, lambda moment: None)
        namespace = course.view.cast.suspect.namespace
        with turns.take():
            assert isinstance(stage, BoxStage)
            box = stage._box  # a stage refuses such a name, as an API server does
            box.store.add({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "x\x1b[2Jy", "namespace": namespace},
                       "spec": {"podSelector": {}, "policyTypes": ["Egress"]}})  # fmt: skip
        course.say("inject", "\x1b]0;title\x07 [red]markup[/red]")
        with live.Live(course) as going:
            shown: Picture = going.picture
    texts = [p.name for p in shown.policies] + [s.text for s in shown.said]
    assert any("x\\x1b[2Jy" in t for t in texts)
    assert not any("\x1b" in t or "\x07" in t for t in texts)
