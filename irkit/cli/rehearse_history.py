"""`irkit rehearse history`: whether those who play get better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from irkit import API_VERSION
from irkit.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from irkit.cli.output import Out
    from irkit.game.ledger import Played

Player = Annotated[str, typer.Option("--player", metavar="NAME", help="Only the games of this player or team", show_default=False)]
_SHOWN = 20  # games of each, the newest


def history(player: Player = "", output: options.Output = "text") -> int:
    """The games that were played on this machine, by player and team, with the trend."""
    from irkit import wiring
    from irkit.cli import output as streams
    from irkit.errors import UsageError
    from irkit.game import ledger
    from irkit.text import nearest, plural, printable

    home = wiring.settings().home
    games, damaged = ledger.read(home)
    by: dict[tuple[str, str], list[Played]] = {}
    for game in games:
        for name in game.players:
            by.setdefault(("player", name), []).append(game)
        if game.team:
            by.setdefault(("team", game.team), []).append(game)
    if player and not any(name == player for _, name in by):
        near = nearest(player, {name for _, name in by})
        raise UsageError(f"nobody called {printable(player, 80)!r} has played here" + (f"; did you mean {printable(near[0])}?" if near else ""),
                         next="irkit rehearse history")  # fmt: skip
    chosen = {key: some for key, some in sorted(by.items()) if player in ("", key[1])}
    if output == "json":
        streams.document({"apiVersion": API_VERSION, "kind": "History", "histories": [_document(*key, some) for key, some in chosen.items()],
                          "damaged": [{"line": each.line, "why": each.why} for each in damaged]})  # fmt: skip
        return 0
    out, err = streams.stdout(), streams.stderr()
    for each in damaged:
        err.line(f"line {each.line} of {printable(home / ledger.FILE, 1000)} is no game and was left out: {each.why}")
    if not chosen:
        out.line("Nobody has played here yet.")
        out.line("  next:      irkit rehearse --free --scenario first-contact")
    for (kind, name), some in chosen.items():
        out.line(f"{'' if kind == 'player' else 'team '}{printable(name, 80)}: {plural(len(some), 'game')}", style="bold")
        _tell(out, some)
    return 0


def _document(kind: str, name: str, games: Sequence[Played]) -> dict[str, Any]:
    import msgspec

    from irkit.game import ledger

    return {kind: name, "games": msgspec.to_builtins(games), "trend": msgspec.to_builtins(ledger.trend(games)),
            "mastered": ledger.solved(games)}  # fmt: skip


def _tell(out: Out, games: Sequence[Played]) -> None:
    from irkit.game import ledger
    from irkit.game.page import clock
    from irkit.text import plural, printable

    if len(games) > _SHOWN:
        out.line(f"  {plural(len(games) - _SHOWN, 'older game')} not shown; -o json has all")
    for game in games[-_SHOWN:]:
        times = ", ".join(f"{printable(name, 20)} {clock(when)}" for name, when in game.times.items())
        out.line(f"  {game.when:%Y-%m-%d %H:%M}  {printable(game.scenario, 40):<22} {game.score:>3}  {times}", hang=22)
    found = ledger.trend(games)
    if found:
        points = f"{found.score[0]:.0f} → {found.score[1]:.0f} points"
        times = "".join(f", {printable(name, 20)} {clock(a)} → {clock(b)}" for name, (a, b) in found.times.items())
        out.line(f"  trend      {points}{times} ({found.games} before, {found.games} newest)", hang=13)
    out.line(f"  mastered   {', '.join(printable(name, 80) for name in ledger.solved(games)) or 'none yet'}", hang=13)
