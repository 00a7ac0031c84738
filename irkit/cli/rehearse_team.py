"""`irkit rehearse --team` and `--join DIR`: several people, each under a name and in a terminal of their own."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from irkit import wiring
from irkit.app import gameday, live, team
from irkit.cli import dashboard
from irkit.cli import output as streams
from irkit.cli.output import Out
from irkit.cli.rehearse_live import Game, Roles, nothing, opened, pace, seen, tell, until_over
from irkit.errors import UsageError
from irkit.game.card import Scorecard
from irkit.game.course import Course
from irkit.game.team import ROLES, deeds
from irkit.model.picture import minutes
from irkit.stage import Repeatable
from irkit.text import printable


def host(game: Game) -> int:
    """Opens the game and shows it to all; who plays joins from elsewhere."""
    err, text = streams.stderr(), game.output == "text"
    drawn = text and err.redraws
    told = (lambda moment: seen(err, moment)) if text and not drawn else nothing
    screen, doors = dashboard.Screen(game.scenario.title), []

    def seat(stage: Repeatable, course: Course) -> Roles:
        door = team.Door(Path(os.environ["IRKIT_HOME"]).parent, stage.admit)
        doors.append(door)
        return lambda: door.answer(course)

    with (
        dashboard.board(screen, err, game.port),
        opened(game, screen, told, kinds=live.SEEN, speed=game.speed or 1.0, seat=seat) as going,
    ):
        (door,) = doors
        _invite(err, door.home, going, game)
        with dashboard.shown(screen, err, drawn):
            why = until_over(going)
            card = gameday.finish(going.course, game.seed, ", ".join(door.team.names) or "nobody", going.course.turns.wait)
        err.line(f"{why}; how it stands now is how it ended")
        card.roles, card.did = door.team.held, deeds(going.course)
    if text:
        _who(streams.stdout(), card)
    return tell(card, game)


def _invite(err: Out, home: Path, going: live.Live, game: Game) -> None:
    err.line("Each player, in a terminal of his own, with his own name and role:")
    err.line(f'  next:      eval "$(irkit rehearse --join {shlex.quote(str(home))} --as NAME --role ROLE)"', whole=True)
    err.line(f"  roles      {', '.join(ROLES)}; whoever takes a role that somebody has, takes it over", hang=13)
    err.line(f"  alert      {printable(going.picture.alert, 600)}", hang=13)
    err.line(f"  time       {pace(game)}", hang=13)


def join(home: Path, name: str, role: str) -> int:
    """Prints the lines by which a shell is a player's."""
    if not name:
        raise UsageError("--join needs --as NAME: by it the others and the card know who did what", next=f"irkit rehearse --join {home} --as NAME")
    answer = team.join(home, name, role, wiring.clock().sleep)
    out, err = streams.stdout(), streams.stderr()
    for variable, value in {**answer.environment, "IRKIT_HOME": str(home / "irkit")}.items():
        out.line(f"export {variable}={shlex.quote(value)}", whole=True)
    err.line(f"You play as {name}.")
    for one in answer.roles:
        err.line(f"  {one.name:<20} {one.who or 'nobody'}", style="" if one.who else "yellow")
    return 0


def _who(out: Out, card: Scorecard) -> None:
    """Who had which role and who did what, above the card."""
    for held in card.roles:
        until = f" to {minutes(held.to)}" if held.to is not None else ""
        out.line(f"  role       {held.role}: {held.who}, from {minutes(held.since)}{until}", hang=13)
    had = {held.role for held in card.roles}
    for name in ROLES.values():
        if name not in had:
            out.line(f"  role       {name}: nobody", style="yellow", hang=13)
    for deed in card.did:
        out.line(f"  {minutes(deed.at)}      {deed.who}: {deed.what}" + (f" ({deed.count} times)" if deed.count > 1 else ""), hang=13)
