"""Sets a stage for a scenario: what it adds to the built-in cluster, what it takes away, and whose pod is under attack."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from irkit.errors import UsageError
from irkit.game.cast import cast, matching, named
from irkit.game.history import pair, triple
from irkit.model.kube import PODS, SECRETS, SERVICEACCOUNTS, SERVICES, Obj, ObjectRef, Resource, ref_of
from irkit.model.scenario import Scenario
from irkit.stage import Stage, Turns
from irkit.text import printable

_WORD = re.compile(r"[A-Za-z0-9$][A-Za-z0-9$._:/@-]*")
"""One word of a command, and no option: what the world calls things is filled into what is typed."""


def prepare(scenario: Scenario, stage: Stage, turns: Turns, seed: int) -> None:
    """Make the world that the scenario wants. Raises UsageError where that can't be."""
    world = scenario.world
    with turns.take():
        for obj in world.manifests:
            _put(obj, stage, scenario)
        for entry, properties in world.vault.items():
            try:
                stage.fill(entry, properties)
            except ValueError:
                raise UsageError(f"scenario {scenario.name}: the Vault takes no entry {printable(entry, 200)!r}") from None
        for text in world.without:
            _take(text, stage, scenario)
    if world.suspect:
        found = sorted(matching(stage, world.namespace or stage.suspect[0], world.suspect), key=lambda p: str(p["metadata"]["name"]))
        if not found:
            wanted = ",".join(f"{k}={v}" for k, v in world.suspect.items())
            raise UsageError(f"scenario {scenario.name}: no pod has the labels {printable(wanted, 200)}")
        chosen = found[seed % len(found)]["metadata"]
        stage.cast(chosen["namespace"], chosen["name"])
    namespace, name = stage.suspect
    if not any(p["metadata"]["name"] == name for p in stage.objects(PODS, namespace)):
        raise UsageError(f"scenario {scenario.name}: there is no pod {printable(namespace)}/{printable(name)} to be attacked")
    for word, value in cast(stage).names().items():
        if not _WORD.fullmatch(value):
            raise UsageError(f"scenario {scenario.name}: {printable(value, 80)!r} can't be a name, and ${{{word}}} stands for it in commands")
    if lacking := list(dict.fromkeys(_lacking(scenario, stage))):
        raise UsageError(f"scenario {scenario.name}: {'; '.join(lacking)}", next=f"look at its world: {printable(scenario.path, 300)}")


def _lacking(scenario: Scenario, stage: Stage) -> Iterator[str]:
    """What acts and goals are about, and is not there when the game begins. A field's name says what it names, as in `irkit.game.goals.base`."""
    named = [(f"goal {goal.id}", goal.state) for goal in scenario.goals] + [(f"act {timed.act.kind}", timed.act) for timed in scenario.attack]
    for who, thing in named:
        for field in dataclasses.fields(thing):
            value = getattr(thing, field.name)
            if isinstance(value, str) and value and not _there(field.name, value, stage):
                yield f"{who}: there is no {_NAMED[field.name][0]} {printable(value, 200)}"


def _there(field: str, value: str, stage: Stage) -> bool:
    if field not in _NAMED:
        return True
    _, resource = _NAMED[field]
    if field == "app":
        return bool(matching(stage, pair(value)[0], {"app": pair(value)[1]}))
    namespace, name, key = triple(value)
    found = stage.find(ObjectRef(resource=resource, name=name, namespace=namespace)) if name else None
    return found is not None and (field not in ("password", "key") or key in (found.get("data") or {}))


_NAMED = {"secret": ("Secret", SECRETS), "after": ("Secret", SECRETS), "password": ("key of a Secret", SECRETS), "key": ("key of a Secret", SECRETS),
          "account": ("ServiceAccount", SERVICEACCOUNTS), "service": ("Service", SERVICES), "app": ("pod with the label app", PODS)}  # fmt: skip


def _put(obj: Obj, stage: Stage, scenario: Scenario) -> None:
    try:
        stage.put(obj)
    except (KeyError, ValueError) as error:
        what = printable(f"{obj.get('kind')} {obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}", 200)
        raise UsageError(f"scenario {scenario.name}: {what} can't be made: {printable(error, 200)}") from None


def _take(text: str, stage: Stage, scenario: Scenario) -> None:
    resources: dict[str, Resource] = stage.kinds()
    kind = text.partition(" ")[0]
    if kind not in resources:
        raise UsageError(f"scenario {scenario.name}: {printable(kind, 80)} is no kind that this cluster serves")
    ref = named(text, resources)
    found = stage.find(ref)
    if found is None:
        raise UsageError(f"scenario {scenario.name}: there is no {printable(text, 200)} to take away")
    stage.end(ref_of(found, ref.resource))
