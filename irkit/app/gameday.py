"""Playing a scenario: somebody's commands against a stage, and the card of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from irkit import API_VERSION
from irkit.engine import parameters
from irkit.game import card as cards
from irkit.game.card import Scorecard, card
from irkit.game.course import Course, Moment
from irkit.game.world import prepare
from irkit.model.scenario import Scenario
from irkit.stage import Asked, Stage, Turns

PACE = 15.0
"""Seconds that a responder is taken to think and type before each command: the same for all who are compared."""

Hand = Callable[[str], None]
"""Does one command, as a responder types it."""

SOLVED = cards.SOLVED
APART = 20
"""By how many points the best response must be above doing nothing, and above the naive one."""


class ScenarioCheck(msgspec.Struct, kw_only=True, rename="camel"):
    """The document of `irkit rehearse check -o json`."""

    api_version: str = API_VERSION
    kind: str = "ScenarioCheck"
    scenario: str
    best: dict[str, object]
    nothing: dict[str, object]
    naive: dict[str, object]
    solvable: bool
    discriminating: bool


def play(scenario: Scenario, stage: Stage, turns: Turns, seed: int, player: str, commands: Sequence[str], hand: Hand,
         listen: Callable[[Moment], None] = lambda moment: None, *, pace: float = PACE) -> Scorecard:  # fmt: skip
    """Play all commands, then let the rest of the time pass. Raises UsageError where the world can't be made.

    ``pace``: seconds of the game that somebody takes to think before each command.
    """
    course = begin(scenario, stage, turns, seed, listen)
    respond(course, commands, hand, turns.wait, pace=pace)
    return finish(course, seed, player, turns.wait)


def begin(scenario: Scenario, stage: Stage, turns: Turns, seed: int, listen: Callable[[Moment], None]) -> Course:
    """Set the stage, and give the alert. Raises UsageError where the world can't be made."""
    prepare(scenario, stage, turns, seed)
    course = Course(scenario, stage, turns, listen)
    course.begin()
    return course


def respond(course: Course, commands: Sequence[str], hand: Hand, wait: Callable[[float], None], *, pace: float = PACE) -> None:
    """Type the commands. ``wait`` lets so many seconds of the game pass."""
    for command in commands:
        wait(pace)
        words = course.filled(command)
        course.say("command", words)
        if words.startswith("wait "):
            left = max(0.0, course.scenario.lasts - course.seconds)  # there is nothing to wait for when it is over
            wait(min(parameters.seconds(words[5:]) or 0.0, left))
        else:
            hand(words)
        with course.turns.take():
            pass


def finish(course: Course, seed: int, player: str, wait: Callable[[float], None]) -> Scorecard:
    """Let the rest of the time pass, in which nobody does anything any more; the card of how it stands then."""
    wait(max(0.0, course.scenario.lasts - course.seconds))
    course.end()
    made = card(course, seed, player)
    course.turns.heard(Asked(at=round(1000 * made.lasted), server="end", code=made.score))
    return made


def best(scenario: Scenario) -> Sequence[str]:
    """What irkit types: as the scenario says, else the first of its playbooks."""
    return scenario.best or (f"irkit respond {scenario.playbooks[0]} ${{suspect}} -n ${{namespace}} -p image=${{image}} --yes",)


def check(scenario: Scenario, played: Callable[[str, Sequence[str]], Scorecard]) -> ScenarioCheck:
    """Whether it can be mastered, and whether that makes a difference. ``played``: a whole game by name of the player and commands."""
    cards = {name: played(name, commands) for name, commands in
             (("irkit", best(scenario)), ("nobody", ()), ("naive", scenario.naive or NAIVE))}  # fmt: skip
    scores = {name: one.score for name, one in cards.items()}
    apart = scores["irkit"] - max(scores["nobody"], scores["naive"])
    return ScenarioCheck(scenario=scenario.name, best=_brief(cards["irkit"]), nothing=_brief(cards["nobody"]), naive=_brief(cards["naive"]),
                         solvable=scores["irkit"] >= SOLVED, discriminating=apart >= APART)  # fmt: skip


def _brief(one: Scorecard) -> dict[str, object]:
    return {"score": one.score, "missed": [f.what for f in one.findings]}


NAIVE: Sequence[str] = (
    "kubectl label pod ${suspect} -n ${namespace} quarantine=true",
    "kubectl apply -n ${namespace} -f quarantine.yaml",
    "kubectl logs ${suspect} -n ${namespace}",
    "kubectl describe pod ${suspect} -n ${namespace}",
    "kubectl get events -n ${namespace}",
    "kubectl scale ${workload} -n ${namespace} --replicas=0",
    "wait 2m",
    "kubectl set image ${workload} -n ${namespace} ${image}",
    "kubectl scale ${workload} -n ${namespace} --replicas=3",
)
"""The usual recipe, as it stands in many a runbook: label, deny-all, logs, scale down, new image."""
