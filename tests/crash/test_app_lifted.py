"""A lift of the whole procedure that was killed in the middle: containment is undone, rotations and redeployments never.

The suspect stays cut off: given back to its service it would run with what was ended meanwhile.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.app import App, app
from tests.crash.test_app_killed import Calmly
from tests.crash.world import Obj, differences, nth_write
from tests.faults.harm import Kill, after
from tests.sample import parts

PARTS = 12


def _workload(world: App) -> Obj:
    found: Obj = world.final()["Deployment todo-app/backend"]
    return found


def _images(world: App) -> list[str]:
    return [c["image"] for c in _workload(world)["spec"]["template"]["spec"]["containers"]]


def _values(world: App) -> tuple[object, ...]:
    return world.secrets(), world.entry(), world.readable(), world.password


def _others(final: Obj) -> Obj:
    """What a containment changes beside pods, their workload, and the policy that goes on with the pod that is kept."""
    return {k: v for k, v in final.items() if k.startswith(("NetworkPolicy ", "HorizontalPodAutoscaler ")) and "irkit" not in k}


@pytest.mark.slow
@pytest.mark.parametrize("part", parts(PARTS, 1))
def test_killed_after_a_write_and_lifted(tmp_path: Path, calmly: Calmly, part: int) -> None:
    failed = {}
    for number in range(part, calmly("chain").writes, PARTS):
        with app(tmp_path, f"{number}") as w:
            then = w.final()
            assert w.harmed(nth_write(number), after(Kill()), *w.chain).code == -9
            w.not_locked_out()
            values, images = _values(w), _images(w)
            try:
                left = w.incidents and w.state.undone()  # before the first change, there is nothing to lift
                w.irkit.run("lift", "--pod", "keep", "--yes").ended(0 if left else 2)
                assert _values(w) == values
                assert _images(w) == images
                w.not_locked_out()
                assert not differences(_others(w.final()), _others(then))
                assert _workload(w)["spec"]["replicas"] == 3
                assert len([p for p in w.living() if p["metadata"]["labels"].get("app") == "backend"]) == 3
            except AssertionError as error:
                failed[number] = str(error)[:2000]
    assert not failed
