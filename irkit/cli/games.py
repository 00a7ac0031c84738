"""What the commands about games have in common: a cluster for one game, hands that type in it, a card to show."""

from __future__ import annotations

import io
import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from irkit import wiring
from irkit.app import gameday
from irkit.cli import gamedir, main, running
from irkit.cli.scorecard import clock, tell
from irkit.errors import InterruptedRun
from irkit.game.card import Scorecard
from irkit.game.cast import FILES
from irkit.game.course import Moment
from irkit.game.kubectl import Kubectl
from irkit.game.record import recording
from irkit.model.scenario import Scenario
from irkit.stage import Origin, Repeatable, Turns

__all__ = ["clock", "hand", "played", "staged", "tell"]


@contextmanager
def staged(scenario: Scenario, seed: int, speed: float = 1.0, origin: Origin | None = None) -> Iterator[tuple[Repeatable, Turns]]:
    """A cluster for one game, whose incidents go with it; this process's environment points at it meanwhile.

    ``origin``: of a game that is to be seen again.
    """
    before = dict(os.environ)
    try:
        with gamedir.directory() as home, wiring.game(scenario.world.base, seed, home / "box", speed, origin) as box:
            os.environ["IRKIT_HOME"] = str(home / "irkit")
            os.environ[FILES[1:]] = str(_handed(home / "files", scenario.world.files))
            wiring.inside(box)
            yield wiring.stage(box)
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def hand(wait: Callable[[float], None] | None = None, *, shown: bool = False) -> Iterator[gameday.Hand]:
    """Types commands of irkit and kubectl, in this process. ``wait``: how what they wait for passes; ``shown``: with all that they print."""

    def do(words: str) -> None:
        words = words.replace(FILES, os.environ.get(FILES[1:], ""))
        if words.startswith("kubectl "):
            Kubectl(cluster).run(words)
            return
        with running.rehearsed(wait):
            if shown:
                main.run(shlex.split(words)[1:])
                return
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                code = main.run(shlex.split(words)[1:])
            if code == InterruptedRun.exit_code:  # whoever interrupted meant the game
                raise KeyboardInterrupt

    with wiring.cluster(wiring.settings()) as cluster:
        yield do


def _handed(folder: Path, files: Mapping[str, str]) -> Path:
    folder.mkdir(mode=0o700)
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    return folder


def played(scenario: Scenario, seed: int, player: str, commands: Sequence[str], listen: Callable[[Moment], None] = lambda moment: None,
           *, shown: bool = False, kept: Path | None = None) -> Scorecard:  # fmt: skip
    """One whole game without anybody at the terminal, in as little time as it takes. ``kept``: the file that it is kept in."""
    with staged(scenario, seed) as (stage, turns), recording(kept, scenario, seed, player, stage, turns), hand(turns.wait, shown=shown) as do:
        return gameday.play(scenario, stage, turns, seed, player, commands, do, listen)
