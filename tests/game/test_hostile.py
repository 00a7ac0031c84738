"""A scenario of a stranger's: whatever its world and its commands, it is played within bounds, or refused in a sentence."""

from __future__ import annotations

import time

import pytest

from irkit.app import gameday
from irkit.cli import games
from irkit.errors import UsageError
from irkit.game import loader
from irkit.model.kube import PODS
from irkit.model.scenario import Scenario
from irkit.sandbox.store import MOST_PODS

HEAD = """\
apiVersion: irkit.dev/v1
kind: Scenario
metadata: {name: mine, title: Mine, difficulty: 1, playbooks: [isolate-only]}
alert: Look at ${suspect}
lasts: 1m
goals:
  - {id: cut-off, state: isolated, points: 10, why: Because.}
"""
MANY = [f"{{apiVersion: v1, kind: Node, metadata: {{name: n{n}}}}}" for n in range(90)] + [
    f"{{apiVersion: apps/v1, kind: DaemonSet, metadata: {{name: d{n}, namespace: todo-app}}, spec: {{selector: {{matchLabels: {{a: b{n}}}}}, "
    f"template: {{metadata: {{labels: {{a: b{n}}}}}, spec: {{containers: [{{name: a, image: b}}]}}}}}}}}"
    for n in range(90)
]
FLUX = """\
world:
  manifests:
    - {apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: todo-app, labels: {kustomize.toolkit.fluxcd.io/name: k,
       kustomize.toolkit.fluxcd.io/namespace: todo-app}}, data: {a: b}}
    - {apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, metadata: {name: k, namespace: todo-app}, spec: {interval: 0.0000001s}}
best: [wait 1m]
"""


def scenario(more: str = "") -> Scenario:
    return loader.loads(f"{HEAD}{more}\n".encode(), "mine.yaml")


@pytest.mark.parametrize("more", [
    pytest.param(f"best: {['wait 24h'] * 200}", id="waits"),
    pytest.param("best: [kubectl scale deployment/backend -n todo-app --replicas=1000000]", id="a million pods", marks=pytest.mark.slow),
    pytest.param(FLUX, id="an interval of no time"),
    pytest.param(f"world: {{manifests: [{', '.join(MANY)}]}}\nbest: [wait 1m]", id="a pod for each node and DaemonSet", marks=pytest.mark.slow),
])  # fmt: skip
def test_it_neither_hangs_nor_eats_the_memory(more: str) -> None:
    played, began = scenario(more), time.monotonic()
    with games.staged(played, 0) as (stage, turns), games.hand(turns.wait) as do:
        gameday.play(played, stage, turns, 0, "test", gameday.best(played), do)
        assert len(stage.objects(PODS)) <= MOST_PODS
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("command", [
    "kubectl logs", "kubectl scale deployment/backend", "kubectl scale deployment/backend --replicas=x", "kubectl patch deployment/backend -p {",
    "kubectl patch deployment/backend", "kubectl set image", "kubectl apply -f ../x",
])  # fmt: skip
def test_a_command_that_kubectl_could_not_read_is_one_sentence(command: str) -> None:
    with pytest.raises(UsageError, match=r"rehearsals have no file|kubectl could not read"):
        games.played(scenario(), 0, "test", (f"{command} -n todo-app",))


def test_what_the_cluster_refuses_a_recipe_goes_on_after() -> None:
    twice = ("kubectl apply -n ${namespace} -f quarantine.yaml",) * 2
    contain = "irkit contain ${suspect} -n ${namespace} --yes"
    played = loader.loads(HEAD.replace("1m", "10m").encode(), "mine.yaml")
    card = games.played(played, 0, "test", (*twice, "kubectl label pod ${suspect} -n ${namespace} 'a b=c'", contain))
    assert card.score == 100


@pytest.mark.parametrize("path", ["http://[", "foo", "/api/v1/pods?watch=true", "/apis", "/api/v1/namespaces/todo-app/pods/x/log?tailLines=x"])
def test_whatever_a_stolen_token_is_used_for_the_game_goes_on(path: str) -> None:
    act = f"attack: [{{at: 5s, every: 5s, act: use-token, with: {{account: todo-app/backend-sa, path: '{path}'}}}}]"
    card = games.played(scenario(act), 0, "test", ())
    assert card.score == 0
