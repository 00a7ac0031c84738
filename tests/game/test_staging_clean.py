"""Nothing of a game stays on a real cluster, however it ended, and nothing of anybody else's goes."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from irkit import wiring
from irkit.app.staging.ledger import LABEL, Ledger, namespace_of, new_id
from irkit.app.staging.removal import Cleaner, remove
from irkit.errors import UnreachableError
from irkit.model.kube import NAMESPACES, ObjectRef
from tests.controlplane.running import Running
from tests.e2e.running import Irkit
from tests.faults.harm import Cut, Kill, Timed, after, before
from tests.faults.proxy import Proxy
from tests.game.staging import COMMAND, NOW, Game, called, games_of, made
from tests.sample import sampled

Obj = dict[str, Any]
POINTS = {"namespace": "/api/v1/namespaces", "quota": "/resourcequotas", "pods": "/deployments"}


@pytest.mark.controlplane
@pytest.mark.slow
@pytest.mark.usefixtures("left_alone")
def test_what_a_killed_game_left_is_cleaned(control_plane: Running, irkit: Irkit):
    game = Game(irkit)
    answer = irkit.run("rehearse", "clean", "--yes").ended(0)
    assert "another process of this machine plays in it" in answer.stdout
    game.end(signal.SIGKILL)
    assert game.namespace in games_of(control_plane)
    asked = irkit.run("rehearse", "clean").ended(3)
    assert f"Remove {game.namespace} of test" in asked.stderr
    assert game.namespace in games_of(control_plane)
    found = irkit.json("rehearse", "clean", "--yes")
    assert [(n["namespace"], n["outcome"]) for n in found["namespaces"]] == [(game.namespace, "removed")]
    assert irkit.json("rehearse", "clean", "--yes")["namespaces"] == []


@pytest.mark.controlplane
@pytest.mark.slow
@pytest.mark.usefixtures("left_alone")
def test_the_next_game_takes_away_what_a_killed_one_left(control_plane: Running, irkit: Irkit):
    first = Game(irkit)
    first.end(signal.SIGKILL)
    second = Game(irkit)
    assert f"of a game before: removed {first.namespace}" in second.said
    assert games_of(control_plane) == [second.namespace]
    assert second.end()[0] == 0


@pytest.mark.controlplane
@pytest.mark.slow
@pytest.mark.usefixtures("left_alone")
def test_from_another_machine_it_is_asked_for_and_not_before_its_game_is_over(control_plane: Running, irkit: Irkit, tmp_path: Path):
    game = Game(irkit)
    elsewhere = irkit.elsewhere(tmp_path / "other")
    found = elsewhere.json("rehearse", "clean", "--staging", "test", "--yes")
    assert [(n["namespace"], n["outcome"]) for n in found["namespaces"]] == [(game.namespace, "kept")]
    asked = elsewhere.asked("rehearse", "clean", "--staging", "test", answers=["n"]).ended(0)
    assert "was made by irkit on another machine; its game may go on until" in asked.stdout
    game.end(signal.SIGKILL)
    elsewhere.asked("rehearse", "clean", "--staging", "test", answers=["y"]).ended(0)
    assert game.namespace not in games_of(control_plane)
    assert irkit.json("rehearse", "clean", "--yes")["namespaces"] == []  # it is gone, and struck off


@pytest.mark.controlplane
@pytest.mark.slow
def test_a_namespace_of_somebody_else_with_our_label_is_left_alone(control_plane: Running, irkit: Irkit):
    identifier = new_id(NOW)
    forged = {namespace_of(identifier): identifier, "t-staging-shop": new_id(NOW)}
    for name, label in forged.items():
        control_plane.kubectl("create", "namespace", name)
        control_plane.kubectl("label", "namespace", name, f"{LABEL}={label}")
    try:
        found = irkit.json("rehearse", "clean", "--staging", "test", "--yes")
        assert {n["namespace"]: n["outcome"] for n in found["namespaces"]} == dict.fromkeys(forged, "other")
        cluster = control_plane.get("namespace", "kube-system")["metadata"]["uid"]
        Ledger(irkit.home).write("made", made(identifier, cluster=cluster, uid="what-was-made", kubeconfig=str(irkit.kubeconfig)), NOW)
        found = irkit.json("rehearse", "clean", "--yes", code=8)
        assert {n["namespace"]: n["outcome"] for n in found["namespaces"]}[namespace_of(identifier)] == "changed"
        assert "deletionTimestamp" not in control_plane.get("namespace", namespace_of(identifier))["metadata"]
    finally:
        for name in forged:
            control_plane.kubectl("delete", "namespace", name, "--wait=true")


@pytest.mark.controlplane
@pytest.mark.slow
def test_a_namespace_that_does_not_go_is_said_with_its_reason(control_plane: Running, irkit: Irkit):
    game = Game(irkit)
    meta = {"name": "stays", "namespace": game.namespace, "finalizers": ["example.com/stay"]}
    stays: Obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
    control_plane.apply(stays)
    game.end(signal.SIGKILL)
    ref = ObjectRef(resource=NAMESPACES, name=game.namespace)
    with wiring.staging(msgspec.structs.replace(wiring.settings(), kubeconfig=str(irkit.kubeconfig))) as ground:
        with pytest.raises(UnreachableError, match=r"example\.com/stay in 1 resource instances"):
            remove(ground.cluster, ref, ground.clock, wait=8)
        uid = ground.connection.identify().uid
        cleaner = Cleaner(ground.cluster, ground.clock, Ledger(irkit.home), "test", uid, (), lambda question, over: False, wait=1)
        assert [(left.namespace, left.outcome) for left in cleaner.clean()] == [(game.namespace, "hangs")]
        assert [m.namespace for m in Ledger(irkit.home).open()] == [game.namespace]
    control_plane.kubectl("patch", "configmap", "stays", "-n", game.namespace, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    assert irkit.json("rehearse", "clean", "--yes")["exitCode"] == 0
    assert games_of(control_plane) == []


@pytest.mark.controlplane
@pytest.mark.slow
def test_a_cluster_that_does_not_answer(control_plane: Running, irkit: Irkit, tmp_path: Path):
    there = called(irkit, tmp_path / "config", "test", "https://127.0.0.1:9").configured(tmp_path / "settings", **{"retry-budget": 1})
    answer = there.run(*COMMAND).ended(7)
    assert "127.0.0.1:9" in answer.stderr
    assert not (irkit.home / "games").exists()
    Ledger(irkit.home).write("made", made(kubeconfig=str(there.kubeconfig)), NOW)
    found = there.json("rehearse", "clean", "--yes", code=7)
    assert [n["outcome"] for n in found["namespaces"]] == ["unreachable"]
    assert Ledger(irkit.home).open() == [made(kubeconfig=str(there.kubeconfig))]


@pytest.mark.controlplane
@pytest.mark.slow
@pytest.mark.usefixtures("left_alone")
@pytest.mark.parametrize("point", sampled(POINTS, list(POINTS)[-1]))
@pytest.mark.parametrize("timed", [before(Kill()), after(Kill())], ids=["before", "after"])
def test_killed_while_it_is_made_it_is_cleaned_by_what_was_written_down(control_plane: Running, irkit: Irkit, point: str, timed: Timed):
    with Proxy(control_plane.admin_kubeconfig) as proxy:
        proxy.when(lambda request: request.method == "POST" and request.path.endswith(POINTS[point]), timed)
        there = irkit.using(proxy.kubeconfig)
        process = there.start(*COMMAND)
        proxy.victim = process.pid
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        proxy.heal()
        assert [m.namespace for m in Ledger(irkit.home).open()] == games_of(control_plane) or (point, timed.when) == ("namespace", "before")
        assert there.json("rehearse", "clean", "--yes")["exitCode"] == 0
    assert (games_of(control_plane), Ledger(irkit.home).open()) == ([], [])


@pytest.mark.controlplane
@pytest.mark.slow
@pytest.mark.usefixtures("left_alone")
def test_a_cluster_that_goes_away_in_the_middle(control_plane: Running, irkit: Irkit, tmp_path: Path):
    with Proxy(control_plane.admin_kubeconfig) as proxy:
        there = irkit.using(proxy.kubeconfig).configured(tmp_path / "settings", **{"retry-budget": 1})
        game = Game(there)
        proxy.when(lambda request: True, before(Cut()))
        _, err = game.process.communicate(timeout=60)
        assert (game.process.returncode, "Traceback" in err) == (7, False), err
        assert err.rstrip().endswith("next:   irkit rehearse clean")
        assert there.json("rehearse", "clean", "--yes", code=7)["namespaces"][0]["outcome"] == "unreachable"
        proxy.heal()
        assert there.json("rehearse", "clean", "--yes")["namespaces"][0]["outcome"] == "removed"
