"""Sets a stage for a scenario: what it adds to the built-in cluster, what it takes away, and whose pod is under attack."""

from __future__ import annotations

from irkit.errors import UsageError
from irkit.game.cast import matching, named
from irkit.model.kube import PODS, Obj, Resource, ref_of
from irkit.model.scenario import Scenario
from irkit.stage import Stage, Turns
from irkit.text import printable


def prepare(scenario: Scenario, stage: Stage, turns: Turns, seed: int) -> None:
    """Make the world that the scenario wants. Raises UsageError where that can't be."""
    world = scenario.world
    with turns.take():
        for obj in world.manifests:
            _put(obj, stage, scenario)
        for entry, properties in world.vault.items():
            stage.fill(entry, properties)
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
