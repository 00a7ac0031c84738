"""Games that people play at a terminal, or watch: `irkit rehearse --free`, `--scenario NAME`, `--watch`."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from irkit import wiring
from irkit.app import gameday, live
from irkit.cli import dashboard, gamebook, games, scorecard
from irkit.cli import output as streams
from irkit.cli.output import Out
from irkit.errors import UsageError
from irkit.game.card import Scorecard
from irkit.game.cast import FILES
from irkit.game.course import Course, Moment
from irkit.game.record import recording
from irkit.model.picture import Role
from irkit.model.scenario import Scenario
from irkit.stage import Repeatable
from irkit.text import printable

SLOWEST, FASTEST = 0.01, 100_000.0
Roles = Callable[[], Sequence[Role]]


class Game(msgspec.Struct, frozen=True, kw_only=True):
    """``speed``: seconds of the game in one second at the table; 0: not said. ``port``: of the board; None: no board.

    ``name``: the player's; empty: the user's. ``book``: what is kept of it; ``html``: a file for its card.
    """

    scenario: Scenario
    seed: int = 0
    output: str = "text"
    speed: float = 0.0
    port: int | None = None
    name: str = ""
    mode: str = ""
    book: gamebook.Book | None = None
    html: Path | None = None

    @property
    def player(self) -> str:
        return named(self.name)

    def __post_init__(self) -> None:
        check_speed(self.speed)
        scorecard.check(self.html)


def check_speed(speed: float) -> None:
    """Raises UsageError; 0 is none that was said."""
    if speed and not SLOWEST <= speed <= FASTEST:  # nan is neither
        raise UsageError(f"--speed is a number from {SLOWEST:g} to {FASTEST:.0f}, not {speed:g}", next="irkit rehearse --speed 10")


def named(name: str) -> str:
    """A player's name: the user's where he gave none."""
    return printable(name or os.environ.get("USER") or "player", 60)


@contextmanager
def opened(game: Game, screen: dashboard.Screen, listen: Callable[[Moment], None], *, kinds: frozenset[str] = frozenset(), speed: float = 1.0,
           seat: Callable[[Repeatable, Course], Roles] = lambda stage, course: tuple) -> Iterator[live.Live]:  # fmt: skip
    """A game that has begun and goes on by itself. ``speed``: of its clock; ``seat``: those who play together."""
    kept = game.book.record if game.book else None
    with games.staged(game.scenario, game.seed, speed) as (stage, turns), recording(kept, game.scenario, game.seed, game.player, stage, turns):
        course = gameday.begin(game.scenario, stage, turns, game.seed, listen)
        with live.Live(course, kinds=kinds, roles=seat(stage, course)) as going:
            screen.show = lambda: going.picture
            yield going


def watch(game: Game) -> int:
    """irkit plays both sides. Where somebody can look, or with a speed, it takes its time; else none."""
    game = msgspec.structs.replace(game, name=gamebook.IRKIT)
    err, text = streams.stderr(), game.output == "text"
    drawn = text and err.redraws
    told = (lambda moment: dashboard.line(err, moment)) if text and not drawn else nothing
    screen = dashboard.Screen(game.scenario.title)
    with dashboard.board(screen, err, game.port):
        waits = drawn and game.port is not None and sys.stdin.isatty()
        if waits:
            _pause(err, "Open the board, then press Enter to begin: ")
        with dashboard.shown(screen, err, drawn), opened(game, screen, told) as going:
            turns = going.course.turns
            wait = live.paced(turns, wiring.clock().sleep, game.speed) if drawn or game.speed else turns.wait
            with games.hand(wait) as do:
                gameday.respond(going.course, gameday.best(game.scenario), do, wait)
            card = gameday.finish(going.course, game.seed, "irkit", wait)
            going.end("the time is over")
        tell(card, game)
        if waits:
            _pause(err, "The board stays until you press Enter: ")
    return 0


def free(game: Game) -> int:
    """The player is in another terminal, with whatever tool; what counts is what becomes of the world."""
    out, err, text = streams.stdout(), streams.stderr(), game.output == "text"
    drawn = text and err.redraws
    told = (lambda moment: seen(err, moment)) if text and not drawn else nothing
    screen = dashboard.Screen(game.scenario.title)
    with dashboard.board(screen, err, game.port), opened(game, screen, told, kinds=live.SEEN, speed=game.speed or 1.0) as going:
        _invite(out if text else err, err, going, game)
        with dashboard.shown(screen, err, drawn):
            why = until_over(going)
            card = gameday.finish(going.course, game.seed, game.player, going.course.turns.wait)
        err.line(f"{why}; how it stands now is how it ended")
    return tell(card, game)


def _invite(lines: Out, err: Out, going: live.Live, game: Game) -> None:
    """What another terminal needs, on ``lines``; what has happened and what to do, on ``err``."""
    cast = going.course.view.cast
    for name, value in exports(going).items():
        lines.line(f"export {name}={shlex.quote(value)}", whole=True)
    err.line("In another terminal, paste these lines, then use irkit or kubectl there. Ctrl-C here says that you are done.")
    err.line(f"  alert      {printable(going.picture.alert, 600)}", hang=13)
    err.line(f"  time       {pace(game)}", hang=13)
    err.line(f"  next:      kubectl describe pod {printable(cast.suspect.name)} -n {printable(cast.suspect.namespace)}")


def guided(game: Game) -> int:
    """The commands of irkit's own response, one by one, with a person who answers what they ask."""
    err = streams.stderr()
    waiting: list[Moment] = []
    busy = [False]  # while a command has the terminal, what happens is kept

    def told(moment: Moment) -> None:
        if moment.kind not in live.SEEN:
            return
        if busy[0]:
            waiting.append(moment)
        else:
            dashboard.line(err, moment)

    def do(words: str) -> None:
        busy[0] = True
        try:
            with interruptible():
                hand(words)
        finally:
            busy[0] = False
            while waiting:
                dashboard.line(err, waiting.pop(0))

    err.line(f"{printable(game.scenario.title, 200)}, seed {game.seed}. The clock runs; Ctrl-C ends the game.", style="bold")
    screen = dashboard.Screen(game.scenario.title)
    with (
        dashboard.board(screen, err, game.port),
        opened(game, screen, told, kinds=live.SEEN, speed=game.speed or 1.0) as going,
        games.hand(shown=True) as hand,
    ):
        with interruptible(), suppress(KeyboardInterrupt, EOFError):
            for command in gameday.best(game.scenario):
                words = without_yes(going.course.filled(command))
                if not going.check() and _wanted(err, words) and not going.caught_up():
                    gameday.respond(going.course, [words], do, going.course.turns.wait, pace=0.0)
            while not going.check() and (words := _typed(err)) and not going.caught_up():
                gameday.respond(going.course, [words], do, going.course.turns.wait, pace=0.0)
        err.line()
        going.end("ended by hand")
        err.line(f"{going.over}; how it stands now is how it ended")
        card = gameday.finish(going.course, game.seed, game.player, going.course.turns.wait)
    return tell(card, game)


def pace(game: Game) -> str:
    return f"{game.scenario.lasts / 60:.0f} min, {game.speed or 1.0:g} times as fast as the clock on the wall"


def exports(going: live.Live) -> dict[str, str]:
    """By which another terminal finds the cluster, its Vault, the incidents of this game and the files that it hands out."""
    names = ["IRKIT_HOME", *([FILES[1:]] if going.course.scenario.world.files else [])]
    return {**going.course.view.stage.environment, **{name: os.environ[name] for name in names}}


def until_over(going: live.Live) -> str:
    """Wait for the end; Ctrl-C is one, and a second one breaks off what comes then. Says why."""
    with interruptible():
        try:
            return going.wait()
        except KeyboardInterrupt:
            going.end("ended by hand")
            return going.over


@contextmanager
def interruptible() -> Iterator[None]:
    """After the block, signals do what they did before it: one that was dealt with in it is not the first of two."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def without_yes(words: str) -> str:
    return " ".join(word for word in words.split(" ") if word not in ("--yes", "-y"))


def _wanted(err: Out, words: str) -> bool:
    """Whether the next command shall run. Raises EOFError where the responder ends the game."""
    err.line(f"$ {words}")
    print("Enter runs it, s skips it, q ends the game: ", end="", file=err.stream, flush=True)
    answer = sys.stdin.readline()
    if not answer or answer.strip().lower() == "q":
        raise EOFError
    return answer.strip().lower() != "s"


def _pause(err: Out, prompt: str) -> None:
    print(prompt, end="", file=err.stream, flush=True)
    sys.stdin.readline()


def _typed(err: Out) -> str:
    """A command of the responder's own; empty: the game is to end."""
    while True:
        print("Another irkit command, or Enter to end the game: ", end="", file=err.stream, flush=True)
        words = sys.stdin.readline().strip()
        if not words or words.startswith("irkit "):
            try:
                return shlex.join(shlex.split(words))
            except ValueError as error:
                err.line(f"that can't be read: {printable(error)}")
                continue
        err.line("here only irkit's commands are typed, as in: irkit resume")


def seen(err: Out, moment: Moment) -> None:
    if moment.kind in live.SEEN and moment.kind != "alert":
        dashboard.line(err, moment)


def nothing(moment: Moment) -> None:
    """The picture shows it."""


def tell(card: Scorecard, game: Game) -> int:
    """The card, once the game is in the history; what irkit plays alone is in none."""
    book, err, code = game.book, streams.stderr(), 0
    if book and card.player != gamebook.IRKIT:
        try:
            card = gamebook.entered(book, card, game.scenario, game.mode)
        except UsageError as error:  # half an hour of play is worth more than its line in the history
            err.line(f"{error.message}; the game is in no history", style="red")
            code = error.exit_code
    scorecard.show(card, game.output, game.html)
    if book and book.record and not book.record.exists():
        err.line(f"The game is not kept: {printable(book.record, 1000)} could not be written to its end.", style="red")
    elif book and book.record and game.output == "text":
        err.line(f"  kept       irkit rehearse replay {shlex.quote(str(book.record))}", hang=13)
    return code
