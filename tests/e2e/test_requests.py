"""What irkit sends, as the API server's audit log saw it."""

from __future__ import annotations

from pathlib import Path

import pytest

import irkit as program
from tests.controlplane.running import Running, User
from tests.e2e import world
from tests.e2e.running import Irkit, dry, manager, review, what, writes
from tests.e2e.world import Obj, name_of

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]

ALL = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "e2e-everything"},
    "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
}


@pytest.fixture(scope="module")
def sender(control_plane: Running) -> User:
    """Somebody who may do everything and whom nobody else uses, so that all requests of this name are irkit's."""
    return control_plane.user("", ALL)


@pytest.fixture
def mine(irkit: Irkit, sender: User) -> Irkit:
    return irkit.using(sender.kubeconfig)


def sent(plane: Running, since: int, user: User) -> list[Obj]:
    """The requests of a user, as the API server began with them."""
    found = [e for e in plane.audit(since) if e["user"]["username"] == user.name]
    return sorted(found, key=lambda e: e["requestReceivedTimestamp"])


def named(events: list[Obj], request: str) -> list[Obj]:
    return [e for e in events if what(e) == request]


def test_the_order_of_a_containment(control_plane: Running, namespace: str, mine: Irkit, sender: User) -> None:
    pods = world.deployed(control_plane, namespace, 3)
    mark = control_plane.mark()
    done = mine.json("contain", name_of(pods[0]), "-n", namespace, "--yes")
    events = sent(control_plane, mark, sender)
    made = writes(events)
    assert [what(e) for e in made] == ["create networkpolicies", "patch pods", "create poddisruptionbudgets", "patch deployments/scale"]
    policy, relabel, _, scale = made
    assert policy["stageTimestamp"] < relabel["requestReceivedTimestamp"], "never more open: the policy stands before the labels go"

    logs = named(events, "get pods/log")
    assert {e["objectRef"]["name"] for e in logs} >= {name_of(p) for p in pods}
    assert len({e["objectRef"]["name"] for e in logs}) == 4, "the replacement's, too"
    assert max(e["stageTimestamp"] for e in logs) < scale["requestReceivedTimestamp"]
    assert min(e["requestReceivedTimestamp"] for e in logs) > relabel["stageTimestamp"], "the cut comes before the collection"

    mine.json("lift", done["incident"], "--pod", "return", "--yes")
    lifted = writes(sent(control_plane, mark, sender))[4:]
    # the labels with the word that makes the pod dear to its ReplicaSet, then without it
    assert [what(e) for e in lifted] == [
        "patch deployments/scale",
        "patch pods",
        "patch pods",
        "delete poddisruptionbudgets",
        "delete networkpolicies",
    ]
    everything = sent(control_plane, mark, sender)
    assert {e["userAgent"] for e in everything} == {f"irkit/{program.__version__}"}
    # a DELETE has no fieldManager (metav1.DeleteOptions)
    assert {manager(e) for e in everything if e["verb"] in ("create", "patch", "update") and not review(e)} == {"irkit"}
    assert all(e["responseStatus"]["code"] < 300 for e in made + lifted)


def test_a_dry_run_only_tries(control_plane: Running, namespace: str, mine: Irkit, sender: User) -> None:
    pods = world.deployed(control_plane, namespace)
    mark = control_plane.mark()
    done = mine.json("contain", name_of(pods[0]), "-n", namespace, "--dry-run")
    events = sent(control_plane, mark, sender)
    assert done["outcome"] == "planned"
    assert writes(events) == []
    assert sorted(what(e) for e in events if dry(e)) == ["create networkpolicies", "patch deployments/scale", "patch pods"]
    assert {e["verb"] for e in events if not dry(e) and not review(e)} <= {"get", "list"}
    assert not (mine.home / "incidents").exists()


def test_collect_writes_nothing(control_plane: Running, namespace: str, mine: Irkit, sender: User) -> None:
    pods = world.deployed(control_plane, namespace)
    mark = control_plane.mark()
    done = mine.json("collect", name_of(pods[0]), "-n", namespace)
    events = sent(control_plane, mark, sender)
    assert {e["verb"] for e in events if not review(e)} <= {"get", "list", "watch"}
    assert len({e["objectRef"]["name"] for e in named(events, "get pods/log")}) == 2
    assert Path(done["evidence"]["bundle"]).is_dir()


def test_a_second_containment_joins_the_first(control_plane: Running, namespace: str, mine: Irkit, sender: User) -> None:
    pods = world.deployed(control_plane, namespace)
    command = ("contain", name_of(pods[0]), "-n", namespace, "--yes")
    first = mine.json(*command)
    mark = control_plane.mark()
    answer = mine.run(*command, "-o", "json").ended(0)
    events = sent(control_plane, mark, sender)
    second = answer.document
    assert second["incident"] == first["incident"]
    assert second["evidence"] == first["evidence"]
    assert [p.name for p in (mine.home / "incidents" / first["incident"] / "bags").iterdir() if p.is_dir()] == ["1"]
    assert writes(events) == []
    assert named(events, "get pods/log") == []
    assert "verdict: isolated" in answer.stderr
