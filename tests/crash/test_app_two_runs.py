"""Two rotations at once: the second on the same machine is refused; from two machines, who comes second loses, and nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.app import ENTRY, SIBLING, App, app
from tests.e2e.running import Answer, Irkit, finish
from tests.faults.harm import Delay, Match, Request, before

SCOPE = ("rotate", "--scope", "namespace", "-n", "todo-app")


def _while(act: Callable[[], object], where: Match) -> Match:
    """Call ``act`` right before the first such request goes through, once."""
    once = threading.Lock()

    def hit(request: Request) -> bool:
        if where(request) and once.acquire(blocking=False):
            act()
        return False

    return hit


def _stores(request: Request) -> bool:
    return request.method in ("POST", "PUT") and request.path == f"/v1/secret/data/{ENTRY}"


def _colleague(world: App, tmp_path: Path) -> Irkit:
    """At another machine."""
    (tmp_path / "colleague").mkdir()
    return _past_the_proxy(world).elsewhere(tmp_path / "colleague" / "home")


def _past_the_proxy(world: App) -> Irkit:
    """Who asks the servers themselves, while the proxy waits."""
    return Irkit(world.box.kubeconfig, world.irkit.home, {"IRKIT_CONFIG": str(world.box.config)})


def _consistent(world: App) -> None:
    """Nobody is locked out, and what was written last is what is delivered."""
    world.not_locked_out()
    assert world.entry() == {**world.secrets()["backend-secret"], **SIBLING}
    assert world.secrets()["postgres-secret"]["APP_PASSWORD"] == world.password
    assert world.stale() == []


@pytest.mark.slow
def test_the_second_on_the_same_pod_is_refused(tmp_path: Path) -> None:
    with app(tmp_path) as w:
        refused = []
        w.proxy.when(_while(lambda: refused.append(_past_the_proxy(w).run(*w.rotate)), _stores), before(Delay(0)))
        w.rotated(w.ended(*w.rotate).ended(0).document)
        assert "is held by oncall@example.com on " in refused[0].ended(8).said


def _overtaken(world: App, tmp_path: Path, secret: str, where: Match, *theirs: str) -> tuple[Answer, dict[str, str]]:
    """How a rotation of one Secret ends before whose first such request a colleague rotates it, and what the entry held then.

    Neither knows of the other: without namespace irkit-system a lock is the machine's own.
    """
    other, entries = _colleague(world, tmp_path), []

    def overtake() -> None:
        assert other.run(*theirs).code in (0, 5), "of the namespace's one is left to a human"
        entries.append(world.entry())

    world.proxy.when(_while(overtake, where), before(Delay(0)))
    return world.irkit.run(*SCOPE, "--secret", secret, *world.given), entries[0]


@pytest.mark.slow
@pytest.mark.parametrize("scope", ["pod", "namespace"])
def test_who_is_overtaken_writes_over_nothing(tmp_path: Path, scope: str) -> None:
    with app(tmp_path) as w:
        said, entry = _overtaken(w, tmp_path, "backend-secret", _stores, *(w.rotate if scope == "pod" else (*SCOPE, *w.given)))
        assert "was changed by somebody else meanwhile; theirs is kept" in said.ended(8).said
        assert w.entry() == entry, "theirs"
        _consistent(w)


@pytest.mark.slow
def test_a_password_that_two_had_changed_is_delivered(tmp_path: Path) -> None:
    """Vault knows the last one only: a copy of any other locks everybody out."""
    with app(tmp_path) as w:
        said, _ = _overtaken(w, tmp_path, "postgres-secret", lambda r: r.path == "/v1/database/rotate-role/app", *w.rotate)
        said.ended(5)
        _consistent(w)


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(2))
def test_both_at_once_from_two_machines(tmp_path: Path, attempt: int) -> None:
    with app(tmp_path) as w:
        other = _colleague(w, tmp_path)
        runs = [w.irkit.start(*w.rotate), other.start(*(w.rotate if attempt else (*SCOPE, *w.given)))]
        for answer in [finish(run) for run in runs]:
            assert answer.code in (0, 5, 8), answer.said
            assert "unexpected failure" not in answer.said, answer.said
        w.not_locked_out()
        assert w.entry().keys() == {*w.old["backend-secret"], *SIBLING}
        assert [name for name in w.secrets() if name.startswith("irkit-")] == []
