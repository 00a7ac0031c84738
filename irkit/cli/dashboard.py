"""How a game is shown while it goes on: a picture that redraws itself where there is a terminal, one line a moment elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from irkit import wiring
from irkit.cli.output import Out
from irkit.game.course import Moment
from irkit.model.picture import Picture, minutes
from irkit.text import printable

STYLES = {"alert": "bold", "act": "red", "inject": "yellow", "reached": "green", "lost": "red", "ended": "yellow", "role": "bold"}


def line(out: Out, moment: Moment) -> None:
    out.line(f"{minutes(moment.at)}  {moment.kind:<8} {printable(moment.text, 400)}", hang=16, style=STYLES.get(moment.kind, ""))


class Screen:
    """``show`` is what to draw; until there is a game, its title."""

    def __init__(self, title: str) -> None:
        self.show: Callable[[], Picture] = lambda: Picture(title=printable(title, 200))

    def picture(self) -> Picture:
        return self.show()


@contextmanager
def shown(screen: Screen, out: Out, drawn: bool) -> Iterator[None]:
    """The picture at the foot of the terminal, for the time of a block, where it is to be drawn."""
    with wiring.dashboard(screen.picture, out.stream) if drawn else nullcontext():
        yield


@contextmanager
def board(screen: Screen, out: Out, port: int | None) -> Iterator[None]:
    """The page for the audience, for the time of a block, where one is wished for. Raises UsageError where its port can't be had."""
    if port is None:
        yield
        return
    from irkit.game.board import Board

    with Board(screen.picture, port) as served:
        out.line(f"  board      {served.url}", whole=True)
        yield
