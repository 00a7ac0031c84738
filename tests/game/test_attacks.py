"""Whoever cheats gains nothing, and a stranger's file reaches nothing beyond the game."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from irkit import wiring
from irkit.app import gameday
from irkit.app.staging.world import stray
from irkit.cli import games, main
from irkit.errors import PlaybookError, UsageError
from irkit.game import loader, record
from irkit.game.course import Course
from irkit.model.kube import EVENTS, SECRETS, ObjectRef
from irkit.model.scenario import Scenario
from irkit.ports import Cluster

FIRST = loader.find("first-contact")
SOURCE = FIRST.source.decode()
POD = """\
world:
  base: empty
  namespace: shop
  suspect: {app: evil}
  manifests:
    - {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
    - {apiVersion: v1, kind: ServiceAccount, metadata: {name: evil, namespace: shop}}
    - {apiVersion: v1, kind: Pod, metadata: {name: evil, namespace: shop, labels: {app: evil}}, spec: SPEC}
"""
GOALS = "goals:\n  - {id: cut, state: isolated, points: 5, why: It leaks.}\n"


def goal(act: Callable[[Course, Cluster], None], name: str) -> bool:
    """Whether a goal holds after somebody did ``act`` a while after the alert, with any client."""
    with games.staged(FIRST, 0) as (stage, turns):
        course = gameday.begin(FIRST, stage, turns, 0, lambda moment: None)
        turns.wait(gameday.PACE)
        with wiring.cluster(wiring.settings()) as cluster:
            act(course, cluster)
        turns.wait(1)
        return next(t for t in course.tracks if t.goal.id == name).since is not None


def logs_read(course: Course, cluster: Cluster) -> None:
    for pod in course.view.cast.pods("all"):
        for previous in (False, True) if course.view.cast.restarts[pod.uid] else (False,):
            with cluster.logs(pod, "backend", previous=previous) as chunks:
                assert b"".join(chunks)


def events_of(course: Course, cluster: Cluster, **query: str) -> None:
    logs_read(course, cluster)
    cluster.list(EVENTS, course.view.cast.suspect.namespace, **query)


def test_who_reads_all_events_has_the_evidence():
    assert goal(events_of, "evidence")


@pytest.mark.parametrize("query", [{"labels": "no=such"}, {"fields": "involvedObject.name=nobody"}, {"fields": "type=Warning"}])
def test_who_asks_for_other_events_has_not(query: dict[str, str]):
    assert not goal(lambda course, cluster: events_of(course, cluster, **query), "evidence")


def test_events_of_each_pod_by_its_name_are_all_of_them():
    def act(course: Course, cluster: Cluster) -> None:
        for pod in course.view.cast.pods("all"):
            events_of(course, cluster, fields=f"involvedObject.name={pod.name}")

    assert goal(act, "evidence")


@pytest.mark.parametrize("written", [lambda v: f"{v[:4]}\n{v[4:]}", lambda v: v.replace("Q=", "R=")], ids=["a line break", "bits that say nothing"])
def test_the_stolen_value_in_other_base64_is_the_stolen_value(written: Callable[[str], str]):
    with games.staged(FIRST, 0) as (stage, turns):
        gameday.begin(FIRST, stage, turns, 0, lambda moment: None)
        ref = ObjectRef(resource=SECRETS, name="postgres-secret", namespace="todo-app")
        with wiring.cluster(wiring.settings()) as cluster:
            before = cluster.get(ref)["data"]
            cluster.patch(ref, {"data": {key: written(value) for key, value in before.items()}})
            assert cluster.get(ref)["data"] == before


def test_a_secret_that_is_no_base64_is_one_sentence():
    head, _, rest = SOURCE.partition("world: {base: todo-app}\n")
    secret = "{apiVersion: v1, kind: Secret, metadata: {name: odd, namespace: shop}, data: {key: 'no base64 at all!'}}"
    scenario = loader.loads(f"{head}{POD.replace('SPEC', '{containers: [{name: a, image: x}]}')}    - {secret}\n{rest}".encode(), "theirs.yaml")
    with pytest.raises(UsageError, match=r"Secret shop/odd can't be made: .*illegal base64 data"):
        games.played(scenario, 0, "test", ())


@pytest.mark.parametrize("command", [
    "irkit incident report --output-dir /tmp/elsewhere",
    "irkit rotate ${suspect} --value web/key=/etc/passwd --yes",
    "irkit resume --value=web/key=${files}/../../.ssh/id_rsa --yes",
    "irkit respond -n todo-app ./theirs.yaml ${suspect} --yes",
    "irkit respond ${files}/theirs.yaml ${suspect} --yes",
    "irkit contain ${suspect} '--kubeconfig' /home/oncall/.kube/config --yes",
    "irkit contain ${suspect} --context=prod --yes",
    "kubectl get pods --server=https://example.com",
    "irkit sandbox",
    "irkit rehearse --staging prod",
    "sh -c id",
])  # fmt: skip
@pytest.mark.parametrize("field", ["best", "naive"])
def test_no_command_of_a_scenario_leaves_its_game(command: str, field: str):
    def load(typed: str) -> Scenario:
        return loader.loads(f"{SOURCE}{field}:\n  - {json.dumps(typed)}\n".encode(), "theirs.yaml")

    load("irkit contain ${suspect} -n ${namespace} --value web/key=${files}/new.key --yes")
    with pytest.raises(PlaybookError) as refused:
        load(command)
    assert [mistake.line for mistake in refused.value.mistakes] == [len(SOURCE.splitlines()) + 2]


@pytest.mark.parametrize(("name", "spec"), [
    ("image", "{containers: [{name: a, image: 'x --kubeconfig /home/oncall/.kube/config y/z'}]}"),
    ("account", "{serviceAccountName: 'evil --context prod', containers: [{name: a, image: x}]}"),
    ("node", "{nodeName: '--kubeconfig=/home/oncall/.kube/config', containers: [{name: a, image: x}]}"),
])  # fmt: skip
def test_no_name_in_a_world_becomes_an_option_of_a_command(name: str, spec: str):
    head, _, rest = SOURCE.partition("world: {base: todo-app}\n")
    text = f"{head}{POD.replace('SPEC', spec)}{rest.partition('attack:')[0]}{GOALS}best:\n  - irkit contain ${{suspect}} ${{{name}}} --yes\n"
    scenario = loader.loads(text.encode(), "theirs.yaml")
    with pytest.raises(UsageError, match="can't be a name"):
        games.played(scenario, 0, "test", gameday.best(scenario))


@pytest.mark.parametrize("command", [
    "irkit contain deployment/payments -n production --yes",
    "irkit contain deployment/payments -n irkit-game-1 -n production --yes",
    "irkit contain deployment/payments -nproduction --yes",
    "irkit contain deployment/payments --namespace=production --yes",
    "irkit contain deployment/payments --yes",
    "irkit respond scheduled-rotation namespace/production -n irkit-game-1 --yes",
    "irkit respond compromised-node ${suspect} -n irkit-game-1 --yes",
    "irkit resume --yes",
    "kubectl delete namespace production -n irkit-game-1",
    "kubectl cordon ${node} -n irkit-game-1",
])  # fmt: skip
def test_on_a_real_cluster_irkit_types_nothing_that_leaves_the_games_namespace(command: str):
    ours = ("irkit contain ${suspect} -n ${namespace} --yes", "wait 30s", "kubectl get pods -n irkit-game-1")
    assert stray(ours, "irkit-game-1") == ""
    assert stray((*ours, command), "irkit-game-1") == command


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    path = tmp_path_factory.mktemp("games") / "game.jsonl"
    games.played(FIRST, 0, "test", (), kept=path)
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def forged(lines: list[dict[str, Any]], path: Path) -> Path:
    """A file whose checksum is right: whoever changes a game can count, too."""
    before = b"".join(json.dumps(line).encode() + b"\n" for line in lines[:-1])
    path.write_bytes(before + json.dumps({**lines[-1], "sum": hashlib.sha256(before).hexdigest()}).encode() + b"\n")
    return path


@pytest.mark.parametrize("change", [
    lambda head, end: end.update(at=10**12),
    lambda head, end: end.update(at=10**18),
    lambda head, end: end.update(at=-1),
    lambda head, end: head["origin"].update(key="zz"),
    lambda head, end: head["origin"].update(began="0001-01-01T00:00:00Z"),
    lambda head, end: head["origin"].update(began="9999-12-31T23:59:59Z"),
    lambda head, end: head["origin"].update(began="2026-01-01T00:00:00"),
])  # fmt: skip
def test_a_strangers_game_with_times_that_none_has_is_one_sentence(change: Callable[[Any, Any], None], kept: list[dict[str, Any]], tmp_path: Path):
    lines = json.loads(json.dumps(kept))
    change(lines[0], lines[-1])
    with pytest.raises(UsageError, match="has times, or a beginning, that no game has"):
        record.load(forged(lines, tmp_path / "game.jsonl"))


@pytest.mark.parametrize("words", [
    ["--staging", "x", "--ci"],
    ["--free", "--ci"],
    ["--watch", "--ci"],
    ["--list", "--runbook"],
    ["--runbook", "--ci"],
    ["--staging", "x", "--team"],
    ["--junit", "x.xml"],
    ["--confirm", "x"],
    ["--really", "--free"],
    ["--image", "x", "--watch"],
    ["--watch", "--speed", "nan"],
    ["--watch", "--speed", "1e999"],
    ["--watch", "--speed", "-1"],
    ["--watch", "--port", "70000"],
    ["--watch", "--scenario", "no-such-scenario"],
    ["--watch", "extra"],
])  # fmt: skip
def test_modes_that_make_no_sense_together_are_one_sentence(words: list[str], capfd: pytest.CaptureFixture[str]):
    assert main.run(["rehearse", *words]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert [line for line in err.splitlines() if not line.startswith("   next:")] == [err.splitlines()[0]]
    assert err.startswith("2: ")
