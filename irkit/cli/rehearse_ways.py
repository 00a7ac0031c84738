"""The ways to rehearse, and which options go with which: one that would say nothing is refused, since whoever gave it meant something."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import typer

from irkit.errors import UsageError

_GAME = ("--scenario", "--hard", "--seed", "--speed", "--board", "--port", "--player", "--record", "--html")
_GAME_ITSELF, _RUN = "a game", "a run of playbook compromised-pod"
_WAYS: Mapping[str, tuple[str, ...]] = {
    "--watch": _GAME,
    "--free": _GAME,
    "--team": _GAME,
    "--join": ("--as", "--role"),
    "--list": (),
    "--ci": ("--scenario", "--seed", "--playbooks", "--junit"),
    "--runbook": ("--playbooks", "--seed"),
    "--staging": ("--scenario", "--seed", "--speed", "--confirm", "--really", "--image", "--patched", "--watch", "--free"),
    _GAME_ITSELF: _GAME,
    _RUN: ("--scenario", "--seed", "--phase", "--keep-workload"),
}
_EVERYWHERE = ("--yes", "--output")
_NEXT = "irkit rehearse --help"


def given(context: typer.Context) -> list[str]:
    """The long names of the options that a command line gave a value."""
    return [next(o for o in p.opts if o.startswith("--")) for p in context.command.params if p.name and context.params.get(p.name)]


def check(options: Collection[str], *, game: bool) -> None:
    """``game``: what is asked for is one, though no option of its own says so. Raises UsageError for options that do not go together."""
    ways = [way for way in _WAYS if way in options and not ("--staging" in options and way in _WAYS["--staging"])]
    if len(ways) > 1:
        raise UsageError(f"{' and '.join(ways)} are two ways to play; choose one", next=_NEXT)
    if {"--hard", "--scenario"} <= set(options):
        raise UsageError("--hard chooses the scenario, and --scenario does; choose one", next="irkit rehearse --list")
    way = ways[0] if ways else _GAME_ITSELF if game else _RUN
    for option in options:
        if option not in (way, *_WAYS[way], *_EVERYWHERE):
            raise UsageError(f"{option} goes with {_home(option)}, and says nothing {'beside' if ways else 'in'} {way}", next=_NEXT)


def _home(option: str) -> str:
    """The ways that an option says something to. All games are one."""
    found = [{"--join": "--join DIR"}.get(way, way) for way, taken in _WAYS.items() if option in taken and (taken != _GAME or way == _GAME_ITSELF)]
    return ", ".join(found[:-1]) + (" or " if found[1:] else "") + found[-1]
