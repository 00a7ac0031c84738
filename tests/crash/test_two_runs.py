"""Two runs on one target: the second is refused while the first lives, and not when it was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.terminal import asking
from tests.crash.world import SHARED, Undisturbed, World, as_undisturbed, go_on, world
from tests.e2e.running import Irkit, what
from tests.faults.harm import Kill, after, writes


def _changes(world: World) -> list[str]:
    """What was changed but Leases and copies of journals."""
    return [w for e in world.changed() if not (w := what(e)).endswith((" leases", " configmaps"))]


def test_the_second_is_refused_and_told_who_holds_it(tmp_path: Path, calm: Undisturbed) -> None:
    with world(tmp_path) as w, asking(w.irkit, *w.contain[:-1]) as first:
        first.wait_for_question()
        for words in (w.contain, (*w.contain, "-o", "json")):
            second = w.irkit.run(*words).ended(8)
            assert "is held by oncall@example.com on " in second.said
            assert f"(pid {first.process.pid})" in second.said
        assert not w.changed()
        first.answer("y")
        first.wait_for_question()
        w.irkit.run("resume", "--yes").ended(8)
        w.irkit.run("lift", "--yes").ended(8)
        first.answer("y")
        assert first.end() == 0
        as_undisturbed(w, calm)


@pytest.mark.slow
def test_a_killed_run_holds_nothing(tmp_path: Path, calm: Undisturbed) -> None:
    with world(tmp_path) as w:
        with asking(w.irkit, *w.contain[:-1]) as first:
            first.wait_for_question()
            first.answer("y")
            first.wait_for_question()
            first.process.kill()
        go_on(w)
        as_undisturbed(w, calm)


@pytest.fixture
def colleague(tmp_path: Path):
    """A world where colleagues share what they do, and one of them."""
    with world(tmp_path) as w:
        w.box.store.add(SHARED)
        kubeconfig = w.box.token_for("second@example.com", ("system:masters",))
        yield w, Irkit(kubeconfig, tmp_path / "colleague")


@pytest.mark.slow
def test_a_colleague_on_another_machine_is_refused(colleague: tuple[World, Irkit]) -> None:
    w, other = colleague
    with asking(w.irkit, *w.contain[:-1]) as first:
        first.wait_for_question()
        first.answer("y")
        first.wait_for_question()
        refused = other.run(*w.contain).ended(8)
        assert "oncall@example.com" in refused.stderr
        assert _changes(w) == ["create networkpolicies", "patch pods", "create poddisruptionbudgets"]
        first.answer("y")
        assert first.end() == 0
    assert _changes(w) == ["create networkpolicies", "patch pods", "create poddisruptionbudgets", "patch deployments/scale"]
    other.run("lift", w.incident, "--pod", "return", "--yes").ended(0)


@pytest.mark.slow
def test_a_killed_run_with_a_lease_is_resumed_at_once_by_whom_it_was(colleague: tuple[World, Irkit]) -> None:
    w, other = colleague
    assert w.harmed(lambda r: writes(r) and r.path.endswith("/networkpolicies"), after(Kill()), *w.contain).code == -9
    other.run(*w.contain).ended(8)
    go_on(w)
    assert _changes(w) == ["create networkpolicies", "patch pods", "create poddisruptionbudgets", "patch deployments/scale"]
