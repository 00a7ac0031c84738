"""The built-in scenarios: each can be mastered, tells good from bad, and points to what a responder can read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from irkit.app import gameday
from irkit.cli import games
from irkit.engine import library
from irkit.game import grammar, loader
from irkit.game.loader import BUILTIN
from irkit.model.scenario import Scenario
from tests.game import reference
from tests.sample import sampled

NAMES = sorted(path.stem for path in BUILTIN.glob("*.yaml"))
SCENARIOS = {name: loader.find(name) for name in NAMES}
ROOT = Path(__file__).parents[2]
TRAPS = {
    "additive-policy", "scale-down-ends-evidence", "autoscaler", "gitops-reverter", "vendor-key", "created-once", "statefulset-ordinal",
    "wrong-context", "host-network", "rbac-only-secret", "gone-pod", "eviction", "expiring-credential", "label-tampering", "stolen-token",
    "crypto-miner", "second-wave", "misleading-alert", "vault-sealed", "approver-away",
}  # fmt: skip


def each(name: str) -> Scenario:
    return SCENARIOS[name]


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_there_are_enough_from_easy_to_hard():
    assert len(NAMES) > 10
    assert {s.difficulty for s in SCENARIOS.values()} == {1, 2, 3, 4, 5}


def test_every_playbook_has_its_scenario():
    assert {p for s in SCENARIOS.values() for p in s.playbooks} == {path.stem for path in library.builtin().glob("*.yaml")}


def test_every_trap_is_laid():
    assert {trap for s in SCENARIOS.values() for trap in s.traps} >= TRAPS


@pytest.mark.parametrize("name", NAMES)
def test_its_name_is_its_file(name: str):
    assert each(name).name == name


@pytest.mark.parametrize("name", NAMES)
def test_every_goal_points_to_a_step_of_a_runbook(name: str):
    for goal in each(name).goals:
        page, _, anchor = goal.runbook.partition("#")
        if not goal.runbook:
            assert goal.hold == "always", f"{goal.id}: what is to be reached says how"
            continue
        assert anchor in anchors(ROOT / "runbooks" / page), f"{goal.id}: {goal.runbook}"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_to_be_reached_has_a_deadline_and_a_better_command(name: str):
    scenario = each(name)
    for goal in scenario.goals:
        if goal.hold == "end":
            assert goal.better.startswith(("irkit ", "kubectl ")), goal.id
            assert goal.within or goal.state.kind == "absent", goal.id
    assert sum(goal.points for goal in scenario.goals if goal.hold == "end") == 100


@pytest.mark.parametrize("name", NAMES)
def test_something_happens_and_somebody_asks(name: str):
    assert each(name).attack
    assert each(name).injects


def judged(name: str, seed: int) -> gameday.ScenarioCheck:
    scenario = each(name)
    return gameday.check(scenario, lambda player, commands: games.played(scenario, seed, player, commands))


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_mastered_and_tells_good_from_bad(name: str):
    found = judged(name, 0)
    assert found.solvable, found.best
    assert found.discriminating, (found.best, found.nothing, found.naive)
    assert found.nothing["score"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", sampled(NAMES, "first-contact", "tampered", "node"))
def test_so_it_is_in_other_worlds(name: str, seed: int):
    found = judged(name, seed)
    assert found.solvable, found.best
    assert found.discriminating, (found.best, found.nothing, found.naive)


def test_the_reference_says_what_the_code_does():
    page = reference.PAGE.read_text("utf-8")
    assert page == reference.written(page), "python -m tests.game.reference"


def test_the_example_of_the_reference_can_be_mastered():
    text = re.search(r"<!-- example -->\n```yaml\n(.*?)```", reference.PAGE.read_text("utf-8"), re.DOTALL)
    assert text is not None
    scenario = loader.loads(text[1].encode(), "noisy-cache.yaml")
    found = gameday.check(scenario, lambda player, commands: games.played(scenario, 0, player, commands))
    assert (found.solvable, found.discriminating) == (True, True)


def test_every_name_that_may_be_filled_in_is_in_the_reference():
    page = reference.PAGE.read_text("utf-8")
    assert all(f"`{name}`" in page for name in grammar.NAMES)


MANNERS = re.compile(r"!|successfully|simply|please note", re.IGNORECASE)


@pytest.mark.parametrize("name", NAMES)
def test_its_lessons_are_short_and_plain(name: str):
    for goal in each(name).goals:
        assert not MANNERS.search(goal.why), goal.why
        assert len(goal.why) < 320, goal.id
        assert goal.why.endswith((".", "?")), goal.why
