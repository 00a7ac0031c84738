"""Games that people play: over HTTP, from other processes, with Ctrl-C and worse."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from irkit.app import gameday, live
from irkit.cli import games
from irkit.game import loader
from irkit.game.course import Moment
from irkit.model.picture import Picture

FIRST = loader.find("first-contact")
_numbers = itertools.count()


class Table:
    """`irkit rehearse …` as a process of its own, whose lines are read as they come."""

    def __init__(self, room: Path, *words: str) -> None:
        environ = {**os.environ, "TMPDIR": str(room), "IRKIT_HOME": str(room / "none"), "KUBECONFIG": "/nowhere"}
        self._said = room / f"stderr-{next(_numbers)}"
        with self._said.open("w") as stderr:
            self.process = subprocess.Popen([sys.executable, "-m", "irkit", "rehearse", *words], env=environ, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=stderr, text=True)  # fmt: skip

    def said(self, text: str, within: float = 20.0) -> str:
        """All that it told, once ``text`` is among it."""
        until = time.monotonic() + within
        while text not in (told := self._said.read_text()):
            assert time.monotonic() < until, f"it did not say {text!r}:\n{told}"
            assert self.process.poll() is None or text in self._said.read_text(), self._said.read_text()
            time.sleep(0.02)
        return told

    def exports(self) -> dict[str, str]:
        self.said("paste these lines")
        assert self.process.stdout
        lines = [self.process.stdout.readline() for _ in range(6)]
        return dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)

    def ended(self, code: int = 0) -> str:
        out, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == code, self._said.read_text()
        return out


@contextmanager
def table(room: Path, *words: str) -> Iterator[Table]:
    playing = Table(room, *words)
    try:
        yield playing
    finally:
        if playing.process.poll() is None:
            playing.process.kill()
        playing.process.communicate()


@pytest.fixture
def room() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="irkit-t-") as home:
        yield Path(home)


def left(room: Path) -> list[str]:
    return sorted(p.name for p in room.iterdir() if p.name.startswith("irkit-"))


def irkit(environ: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "irkit", *words], env={**os.environ, **environ}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)  # fmt: skip


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
            stage.put({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "x\x1b[2Jy", "namespace": namespace},
                       "spec": {"podSelector": {}, "policyTypes": ["Egress"]}})  # fmt: skip
        course.say("inject", "\x1b]0;title\x07 [red]markup[/red]")
        with live.Live(course) as going:
            shown: Picture = going.picture
    texts = [p.name for p in shown.policies] + [s.text for s in shown.said]
    assert any("x\\x1b[2Jy" in t for t in texts)
    assert not any("\x1b" in t or "\x07" in t for t in texts)


def _owns() -> None:
    """Ctrl-C at this terminal is for this process."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """A process at a terminal of 100 by 40; ``shown`` is all that it wrote, with the codes that move the cursor taken out."""

    def __init__(self, room: Path, *words: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        environ = {**os.environ, "TMPDIR": str(room), "TERM": "xterm-256color", "KUBECONFIG": "/nowhere", "IRKIT_HOME": str(room / "none")}
        command = [sys.executable, "-m", "irkit", *words]
        self.process = subprocess.Popen(command, env=environ, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, preexec_fn=_owns)  # noqa: PLW1509
        os.close(slave)
        self.shown = ""

    def until(self, text: str, within: float = 20.0) -> str:
        """All since the last call, up to where ``text`` was there; empty ``text``: to the end."""
        start, limit = len(self.shown), time.monotonic() + within
        while not text or text not in self.shown[start:]:
            assert time.monotonic() < limit, self.shown[start:]
            if not select.select([self._master], [], [], 0.1)[0]:
                continue
            try:
                piece = os.read(self._master, 1 << 16).decode("utf-8", "replace")
            except OSError:  # Linux says so when the other end is closed
                piece = ""
            if not piece:
                assert not text, self.shown[start:]
                break
            self.shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", piece)
        return self.shown[start:]

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)


@pytest.fixture
def terminal(room: Path) -> Iterator[Callable[..., Terminal]]:
    made: list[Terminal] = []

    def start(*words: str) -> Terminal:
        made.append(Terminal(room, *words))
        return made[-1]

    yield start
    for one in made:
        one.close()


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
