"""A scenario as it can be played in one namespace of a real cluster: its world, and what of it is left out and why."""

from __future__ import annotations

import dataclasses
import itertools
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from irkit.app.staging import safe
from irkit.errors import RefusedError, UsageError
from irkit.game.acts.apply import Apply
from irkit.game.acts.connect import Connect
from irkit.game.acts.evict import Evict
from irkit.game.acts.tamper import Tamper
from irkit.game.goals.absent import Absent
from irkit.game.goals.alive import Alive
from irkit.game.goals.collected import Collected
from irkit.game.goals.dead import Dead
from irkit.game.goals.field import Field
from irkit.game.goals.isolated import Isolated
from irkit.game.goals.policies import Policies
from irkit.game.goals.quiet import Quiet
from irkit.game.goals.recovered import Recovered
from irkit.game.goals.rotated import Rotated
from irkit.game.goals.serving import Serving
from irkit.game.goals.steady import Steady
from irkit.game.goals.stopped import Stopped
from irkit.game.goals.unharmed import Unharmed
from irkit.game.goals.untouched import Untouched
from irkit.model.kube import Obj, at
from irkit.model.scenario import Goal, Scenario, Timed, World
from irkit.text import printable, texts

_ACTS = (Apply, Connect, Evict, Tamper)
_GOALS = (Absent, Alive, Dead, Field, Isolated, Policies, Quiet, Recovered, Rotated, Serving, Steady, Stopped, Unharmed)
_KINDS = frozenset(resource.kind for resource in safe.ORDER)
_SPACES = ("namespace", "namespaces", "ns")
_SHARE = 0.5  # of a scenario's points: with less to be judged it is another scenario


class Staged(msgspec.Struct, frozen=True, kw_only=True):
    """``objects`` in the order in which they are made; ``without``: what is left out, by its name, and why; ``selector``: of the suspect."""

    scenario: Scenario
    objects: list[Obj]
    selector: dict[str, str]
    without: dict[str, str]
    pods: int


def staged(scenario: Scenario, base: Sequence[Obj], game: str, namespace: str, images: tuple[str, str]) -> Staged:
    """``images``: with the hole and without: what the workload under attack runs, and what all others run.

    Raises UsageError, RefusedError with the one sentence why it can't be played there.
    """
    try:
        return _staged(scenario, base, game, namespace, images)
    except (UsageError, RefusedError) as error:
        message = f"scenario {scenario.name} can't be played on a real cluster: {error.message}"
        raise type(error)(message, next=f"irkit rehearse --scenario {printable(scenario.name, 80)}, on the built-in cluster") from None
    except (AttributeError, LookupError, TypeError, ValueError):  # there are no schemas here
        message = f"scenario {scenario.name} can't be played on a real cluster: an object of its world has not the shape of its kind"
        raise UsageError(message, next=f"irkit rehearse check {printable(scenario.path, 300)}") from None


def _staged(scenario: Scenario, base: Sequence[Obj], game: str, namespace: str, images: tuple[str, str]) -> Staged:
    world = scenario.world
    if world.vault:
        raise UsageError("its world has a Vault")
    found = _merged(world, base)
    here = {at(obj, ("metadata", "namespace"), "") for obj in world.manifests} | {world.namespace or "todo-app"}
    away = {at(obj, ("metadata", "namespace"), "") for obj in found} - here  # of the base, and nobody's business in this scenario
    found = [obj for obj in found if at(obj, ("metadata", "namespace"), "") not in away]
    moved = here - {""}
    selector = world.suspect or {"app": "backend"}
    holes = safe.holes(found, selector)

    def make(obj: Obj) -> Obj:
        return safe.safe(obj, game, namespace, lambda image: images[image not in holes], moved)

    objects = [make(obj) for obj in found]
    if len({(obj["kind"], obj["metadata"]["name"]) for obj in objects}) < len(objects):
        raise UsageError("two of its objects have one name, in namespaces that are one here")
    pods = safe.counted(objects)
    objects.sort(key=lambda o: safe.ORDER.index(safe.resource_of(o)))
    return _played(Staged(scenario=scenario, objects=objects, selector=selector, without={}, pods=pods), moved, away, namespace, make)


def _played(found: Staged, moved: Collection[str], away: Collection[str], namespace: str, make: Callable[[Obj], Obj]) -> Staged:
    """The same with what can be judged and done there, in the words of that namespace."""
    scenario, without = found.scenario, dict[str, str]()
    goals = []
    for goal in scenario.goals:
        why = _unjudged(goal, scenario, moved, away)
        if why:
            without[goal.id] = why
        else:
            goals.append(msgspec.structs.replace(goal, state=_here(goal.state, moved, namespace), better=_words(goal.better, moved, namespace)))
    attack = []
    for timed in scenario.attack:
        if isinstance(timed.act, _ACTS):
            attack.append(_act(timed, moved, namespace, make))
        else:
            without[f"the attack's {timed.act.kind}"] = "it needs what only the built-in cluster has"
    points = sum(g.points for g in goals if g.hold == "end")
    if points < _SHARE * sum(g.points for g in scenario.goals if g.hold == "end") or not points:
        raise UsageError(f"too little of it can be judged there (not {', '.join(k for k in without if not k.startswith('the '))})")
    moved_words = {name: tuple(_words(line, moved, namespace) for line in getattr(scenario, name)) for name in ("best", "naive")}
    played = msgspec.structs.replace(scenario, goals=tuple(goals), attack=tuple(attack), world=World(base=scenario.world.base), **moved_words)
    return msgspec.structs.replace(found, scenario=played, without=without)


def _unjudged(goal: Goal, scenario: Scenario, moved: Collection[str], away: Collection[str]) -> str:
    """Why a goal can't be judged there; empty: it can."""
    state = goal.state
    if isinstance(state, Rotated) and state.entry:
        return "there is no Vault beside it"
    if isinstance(state, Dead) and state.role:
        return "there is no database beside it"
    named = {text.rpartition(" ")[2].partition("/")[0] for text in texts(dataclasses.asdict(state))}
    if named & {*away} and not named & {*moved}:
        return "what it is about is in another namespace, and is left out"
    if isinstance(state, Absent) and state.of not in _KINDS:
        return "it is about more than one namespace"
    if isinstance(state, Quiet) and not any(isinstance(timed.act, Connect) for timed in scenario.attack):
        return "what the attacker tries is left out"
    if isinstance(state, Collected | Untouched):
        return "who read or wrote what shows in an audit log alone"
    if not isinstance(state, _GOALS):
        return "only the built-in cluster shows it"
    return ""


def _act(timed: Timed, moved: Collection[str], namespace: str, make: Callable[[Obj], Obj]) -> Timed:
    act = timed.act
    if isinstance(act, Apply):
        act = dataclasses.replace(act, object=make(act.object))
    return msgspec.structs.replace(timed, act=_here(act, moved, namespace))


def _here(state: Any, moved: Collection[str], namespace: str) -> Any:
    """An act or an end state whose fields name the game's namespace: ``NAMESPACE``, ``NAMESPACE/…`` and ``Kind NAMESPACE/…``."""

    def one(value: Any) -> Any:
        if isinstance(value, str):
            return _words(value, moved, namespace)
        return tuple(one(v) for v in value) if isinstance(value, tuple) else value

    return dataclasses.replace(state, **{f.name: one(getattr(state, f.name)) for f in dataclasses.fields(state)})


def _words(line: str, moved: Collection[str], namespace: str) -> str:
    return " ".join(_word(word, moved, namespace) for word in line.split(" "))


def _word(word: str, moved: Collection[str], namespace: str) -> str:
    """``NAMESPACE``, ``NAMESPACE/…``, ``namespace/NAMESPACE``, ``--namespace=NAMESPACE``."""
    before = next((start for start in ("namespace/", "--namespace=", "-n=") if word.startswith(start)), "")
    first, slash, rest = word.removeprefix(before).partition("/")
    return f"{before}{namespace}{slash}{rest}" if first in moved else word


def stray(commands: Sequence[str], namespace: str) -> str:
    """The first command that is not bound to the game's namespace, as far as its words say; empty: all are.

    A scenario may come from a stranger, and on a real cluster its commands have the rights of whoever plays it. What names no
    namespace, takes up an incident, which may be a colleague's, or has to do with nodes is not bound.
    """
    return next((line for line in commands if not line.startswith("wait ") and not _bound(shlex.split(line), namespace)), "")


def _bound(words: Sequence[str], namespace: str) -> bool:
    ours = (namespace, "${namespace}")
    named = [after for word, after in itertools.pairwise([*words, ""]) if word in ("-n", "--namespace")]
    named += [word.partition("=")[2] if word.startswith("--") else word[2:] for word in words
              if word.startswith(("-n", "--namespace=")) and word not in ("-n", "--namespace")]  # fmt: skip
    targets = [rest for word in words for kind, slash, rest in (word.partition("/"),) if slash and kind in _SPACES]
    targets += [after for word, after in itertools.pairwise([*words, ""]) if word in _SPACES]
    free = any("node" in word for word in words) or words[1] in ("cordon", "resume", "lift", "incident")
    return bool(named) and not free and all(name in ours for name in (*named, *targets))


def _merged(world: World, base: Sequence[Obj]) -> list[Obj]:
    """The base with what the scenario adds and takes away; Namespaces are one, and made elsewhere."""
    found: dict[tuple[str, str, str], Obj] = {}
    for obj in (*base, *world.manifests):
        key = (obj["kind"], at(obj, ("metadata", "namespace"), ""), obj["metadata"]["name"])
        found[key] = _merge(found.get(key, {}), obj)
    for text in world.without:
        kind, _, where = text.partition(" ")
        space, _, name = where.rpartition("/")
        if found.pop((kind, space, name), None) is None:
            raise UsageError(f"there is no {printable(text, 200)} to take away")
    return [obj for (kind, _, _), obj in found.items() if kind != "Namespace"]


def _merge(target: Any, patch: Any) -> Any:
    """RFC 7386 §2."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merge(result.get(key), value)
    return result
