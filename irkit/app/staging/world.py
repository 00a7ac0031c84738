"""A scenario as it can be played in one namespace of a real cluster: its world, and what of it is left out and why."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
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
from irkit.model.kube import Obj, at
from irkit.model.scenario import Goal, Scenario, Timed, World
from irkit.text import printable

_ACTS = (Apply, Connect, Evict, Tamper)
_GOALS = (Absent, Alive, Dead, Field, Isolated, Policies, Quiet, Recovered, Rotated, Serving, Steady, Stopped, Unharmed)
_KINDS = frozenset(resource.kind for resource in safe.ORDER)
_SHARE = 0.5  # of a scenario's points: with less to be judged it is another scenario


class Staged(msgspec.Struct, frozen=True, kw_only=True):
    """``objects`` in the order in which they are made; ``without``: what is left out, by its name, and why; ``selector``: of the suspect."""

    scenario: Scenario
    objects: list[Obj]
    selector: dict[str, str]
    without: dict[str, str]
    pods: int


def staged(scenario: Scenario, base: Sequence[Obj], game: str, namespace: str, image: str) -> Staged:
    """Raises UsageError, RefusedError with the one sentence why it can't be played there."""
    try:
        return _staged(scenario, base, game, namespace, image)
    except (UsageError, RefusedError) as error:
        message = f"scenario {scenario.name} can't be played on a real cluster: {error.message}"
        raise type(error)(message, next=f"irkit rehearse --scenario {printable(scenario.name, 80)}, on the built-in cluster") from None


def _staged(scenario: Scenario, base: Sequence[Obj], game: str, namespace: str, image: str) -> Staged:
    world = scenario.world
    if world.vault:
        raise UsageError("its world has a Vault")
    found = _merged(world, base)
    moved = {at(obj, ("metadata", "namespace"), "") for obj in found} - {""}
    if world.namespace:
        moved.add(world.namespace)
    objects = [safe.safe(obj, game, namespace, image, moved) for obj in found]
    if len({(obj["kind"], obj["metadata"]["name"]) for obj in objects}) < len(objects):
        raise UsageError("two of its objects have one name, in namespaces that are one here")
    pods = safe.counted(objects)
    return _played(scenario, sorted(objects, key=lambda o: safe.ORDER.index(safe.resource_of(o))), moved, namespace, game, image, pods)


def _played(scenario: Scenario, objects: list[Obj], moved: Collection[str], namespace: str, game: str, image: str, pods: int) -> Staged:
    without: dict[str, str] = {}
    goals = []
    for goal in scenario.goals:
        why = _unjudged(goal)
        if why:
            without[goal.id] = why
        else:
            goals.append(msgspec.structs.replace(goal, state=_here(goal.state, moved, namespace), better=_words(goal.better, moved, namespace)))
    attack = []
    for timed in scenario.attack:
        if isinstance(timed.act, _ACTS):
            attack.append(_act(timed, moved, namespace, game, image))
        else:
            without[f"the attack's {timed.act.kind}"] = "it needs what only the built-in cluster has"
    points = sum(g.points for g in goals if g.hold == "end")
    if points < _SHARE * sum(g.points for g in scenario.goals if g.hold == "end") or not points:
        raise UsageError(f"too little of it can be judged there (not {', '.join(k for k in without if not k.startswith('the '))})")
    moved_words = {name: tuple(_words(line, moved, namespace) for line in getattr(scenario, name)) for name in ("best", "naive")}
    played = msgspec.structs.replace(scenario, goals=tuple(goals), attack=tuple(attack), world=World(base=scenario.world.base), **moved_words)
    return Staged(scenario=played, objects=objects, selector=scenario.world.suspect or {"app": "backend"}, without=without, pods=pods)


def _unjudged(goal: Goal) -> str:
    """Why a goal can't be judged there; empty: it can."""
    state = goal.state
    if isinstance(state, Rotated) and state.entry:
        return "there is no Vault beside it"
    if isinstance(state, Dead) and state.role:
        return "there is no database beside it"
    if isinstance(state, Absent) and state.of not in _KINDS:
        return "it is about more than one namespace"
    if not isinstance(state, _GOALS):
        return "only the built-in cluster shows it"
    return ""


def _act(timed: Timed, moved: Collection[str], namespace: str, game: str, image: str) -> Timed:
    act = timed.act
    if isinstance(act, Apply):
        act = dataclasses.replace(act, object=safe.safe(act.object, game, namespace, image, moved))
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
    first, slash, rest = word.partition("/")
    return f"{namespace}{slash}{rest}" if first in moved else word


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
