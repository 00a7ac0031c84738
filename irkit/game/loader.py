"""Reads a scenario: bytes in, a checked `Scenario` out, or every mistake at once as ``file:line:col: sentence``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from irkit.engine import positions
from irkit.engine.positions import Fields, Mistakes, compose
from irkit.engine.shapes import REFUSED, Context
from irkit.errors import PlaybookError, UsageError
from irkit.game import grammar
from irkit.game.acts import ACTS
from irkit.game.goals import GOALS
from irkit.model.kube import at
from irkit.model.scenario import Goal, Inject, Scenario, Timed, World
from irkit.text import nearest, printable

BUILTIN = Path(__file__).with_name("scenarios")
LASTS = 1800.0
SOONEST = 15.0
"""Seconds that somebody is taken to think and type before each command."""
MAX_ACTS = 2000
"""How many acts there may be in all, with those that come again: the world is looked at after each."""
MAX_PODS = 1000
"""How many pods a world's manifests may ask for; the cluster is a process on the player's laptop."""
_PODS = ("replicas", "parallelism", "completions", "minReplicas", "maxReplicas")


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
    """The files of all scenarios by name; one's own hide built-in ones of the same name. Raises UsageError for a folder that is none."""
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"there is no directory of scenarios {printable(folder, 300)}", next="IRKIT_SCENARIOS names it")
    return {path.stem: path for folder in (BUILTIN, *folders) for path in sorted(folder.glob("*.yaml")) if path.is_file()}


def load(path: Path) -> Scenario:
    """Raises PlaybookError with all mistakes; that the file can't be read is one, too."""
    return loads(positions.read(path), str(path))


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
    _bounded(root, read, attack, lasts, context)
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
    kind = next(k for k in ACTS if k.kind == one["act"])
    return Timed(one["at"], _made(kind, one), one.get("every", 0.0))


def _bounded(root: Fields, read: Mapping[str, Any], attack: Sequence[Timed], lasts: float, context: Context) -> None:
    """A game ends in a time that its player has."""
    acts = sum(1 + max(0.0, lasts - timed.at) // timed.every if timed.every else 1 for timed in attack)
    if acts > MAX_ACTS:
        context.mistakes.at(root.get("attack") or root, f"the attack has {acts:.0f} acts, with those that come again; at most {MAX_ACTS}")
    objects = [getattr(timed.act, "object", None) for timed in attack]
    made = [*read.get("world", {}).get("manifests", ()), *(obj for obj in objects if isinstance(obj, dict))]
    pods = sum(_pods(obj) for obj in made)
    if pods > MAX_PODS:
        context.mistakes.at(root.get("world") or root, f"the objects ask for {pods} pods; a game has at most {MAX_PODS}")


def _pods(obj: Mapping[str, Any]) -> int:
    """Of a CronJob, those of one of its Jobs."""
    asked = [at(obj, (*way, word)) for way in (("spec",), ("spec", "jobTemplate", "spec")) for word in _PODS]
    return max((int(number) for number in asked if isinstance(number, int | float)), default=0)


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
