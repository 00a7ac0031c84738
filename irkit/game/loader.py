"""Reads a scenario: bytes in, a checked `Scenario` out, or every mistake at once as ``file:line:col: sentence``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from irkit.engine.positions import MAX_BYTES, Fields, Mistakes, compose
from irkit.engine.shapes import REFUSED, Context
from irkit.errors import Mistake, PlaybookError, UsageError
from irkit.game import grammar
from irkit.game.acts import ACTS
from irkit.game.goals import GOALS
from irkit.model.scenario import Goal, Inject, Scenario, Timed, World
from irkit.text import nearest, printable

BUILTIN = Path(__file__).with_name("scenarios")
LASTS = 1800.0
SOONEST = 15.0
"""Seconds that somebody is taken to think and type before each command."""
MAX_ACTS = 2000
"""How often one act may come again: a game is looked at after each."""


def find(name: str, folders: Sequence[Path] = (), also: Sequence[str] = ()) -> Scenario:
    """The scenario of that name, or in that file; ``also``: other names that could have been meant.

    Raises PlaybookError with its mistakes, UsageError where there is none.
    """
    if "/" in name or name.endswith((".yaml", ".yml")):
        return load(Path(name))
    known = listed(folders)
    if name in known:
        return load(known[name])
    near = nearest(name, (*known, *also))
    hint = f"; did you mean {near[0]}?" if near else ""
    raise UsageError(f"there is no scenario {printable(name, 80)!r}{hint}", next="irkit rehearse --list")


def listed(folders: Sequence[Path] = ()) -> dict[str, Path]:
    """The files of all scenarios by name; one's own hide built-in ones of the same name."""
    return {path.stem: path for folder in (BUILTIN, *folders) for path in sorted(folder.glob("*.yaml"))}


def load(path: Path) -> Scenario:
    """Raises PlaybookError with all mistakes; that the file can't be read is one, too."""
    try:
        with path.open("rb") as file:
            source = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise PlaybookError([Mistake(str(path), 1, 1, f"can't be read: {printable(reason)}")]) from None
    return loads(source, str(path))


def loads(source: bytes, file: str) -> Scenario:
    """The scenario in ``source``, called ``file`` in mistakes. Raises PlaybookError."""
    mistakes = Mistakes(file, "scenario")
    root = compose(source, mistakes)
    context = Context(mistakes, grammar.NAMES)
    read = grammar.scenario().read(root, "scenario", context)
    if not isinstance(root, Fields) or read is REFUSED:
        raise PlaybookError(mistakes.found)
    lasts = _lasts(root, read, context)
    attack = tuple(_timed(one, lasts, context) for one in read.get("attack", ()) if {"act", "at"} <= set(one))
    goals = tuple(_goals(read.get("goals", ()), lasts, context))
    injects = tuple(_injects(root, read.get("injects", ()), lasts, context))
    if mistakes.found:
        raise PlaybookError(sorted(mistakes.found, key=lambda m: (m.line, m.column)))
    meta = read["metadata"]
    return Scenario(name=meta["name"], title=meta["title"], difficulty=meta["difficulty"], playbooks=meta["playbooks"], traps=meta.get("traps", ()),
                    world=World(**read.get("world", {})), alert=read["alert"], goals=goals, attack=attack, injects=injects, best=read.get("best", ()),
                    naive=read.get("naive", ()), lasts=lasts, source=source, path=file)  # fmt: skip


def _lasts(root: Fields, read: Mapping[str, Any], context: Context) -> float:
    lasts = float(read.get("lasts", LASTS))
    if lasts < SOONEST:
        context.mistakes.at(root.get("lasts") or root, f"a game of {lasts:g} s is over before anybody has typed a command")
    return lasts


def _timed(one: Mapping[str, Any], lasts: float, context: Context) -> Timed:
    if one["at"] > lasts:
        context.mistakes.at(one[""], f"this act is {one['at']:g} s after the alert, and the game lasts {lasts:g} s")
    every = one.get("every")
    if every is not None and (lasts - one["at"]) / max(every, 0.001) > MAX_ACTS:
        context.mistakes.at(one[""].get("every"), f"every {every:g} s for {lasts:g} s is more than {MAX_ACTS} times")
    kind = next(k for k in ACTS if k.kind == one["act"])
    return Timed(one["at"], _made(kind, one), every or 0.0)


def _injects(root: Fields, read: Sequence[Mapping[str, Any]], lasts: float, context: Context) -> Iterator[Inject]:
    for one in read:
        if {"at", "from", "says"} <= set(one):
            if one["at"] > lasts:
                context.mistakes.at(root.get("injects") or root, f"{one['from']} speaks {one['at']:g} s after the alert, when the game is over")
            yield Inject(one["at"], one["from"], one["says"])


def _goals(read: Sequence[Mapping[str, Any]], lasts: float, context: Context) -> Iterator[Goal]:
    ids: set[str] = set()
    for one in read:
        if not {"state", "id", "points", "why"} <= set(one):
            continue
        if one["id"] in ids:
            context.mistakes.at(one[""].get("id"), f"duplicate goal id {one['id']!r}")
        ids.add(one["id"])
        if "within" in one and (why := _deadline(one, lasts)):
            context.mistakes.at(one[""].get("within"), f"{one['id']} {why}")
        kind = next(k for k in GOALS if k.kind == one["state"])
        more = {name: one[name] for name in ("stage", "hold", "within", "runbook", "better") if name in one}
        yield Goal(id=one["id"], state=_made(kind, one), points=one["points"], why=one["why"], **more)
    if read and all(one.get("hold") == "always" for one in read):
        context.mistakes.at(read[0][""], "every goal must hold all the time: who does nothing wins; name at least one that is to be reached")


def _deadline(goal: Mapping[str, Any], lasts: float) -> str:
    """Why a goal can't have the deadline that it has; empty: it can."""
    if goal.get("hold") == "always":
        return "must hold all the time, so it has no deadline"
    if goal["within"] > lasts:
        return f"has {goal['within']:g} s, and the game lasts {lasts:g} s: nobody can be late"
    if goal["within"] < SOONEST:
        return f"has {goal['within']:g} s: nobody reads an alert and types a command in less than {SOONEST:g} s"
    return ""


def _made(kind: type[Any], one: Mapping[str, Any]) -> Any:
    """Where something was refused, the mistake is said already: what is missing stays empty."""
    given = one.get("with", {})
    arguments = {k.replace("-", "_"): v for k, v in given.items()} if isinstance(given, dict) else {}
    try:
        return kind(**arguments)
    except TypeError:
        return None
