"""Bad responses score badly, whatever they look like, and the card says when it went wrong and by which request."""

from __future__ import annotations

import base64
import json
import os
import ssl
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from irkit import wiring
from irkit.app import gameday
from irkit.cli import games
from irkit.game import loader
from irkit.game.card import Finding, Scorecard
from irkit.game.course import Course
from irkit.model.kube import CONFIGMAPS, NETWORKPOLICIES
from irkit.model.scenario import Scenario
from irkit.ports import Cluster

FIRST = loader.find("first-contact")
PACE = gameday.PACE
SELF = "oncall@example.com"


def play(*commands: str) -> Scorecard:
    return games.played(FIRST, 0, "test", commands)


def by_hand(act: Callable[[Course, Cluster], None], scenario: Scenario = FIRST) -> Scorecard:
    """A game in which somebody does ``act`` a while after the alert, with any client."""
    with games.staged(scenario, 0) as (stage, turns):
        course = gameday.begin(scenario, stage, turns, 0, lambda moment: None)
        turns.wait(PACE)
        with wiring.cluster(wiring.settings()) as cluster:
            act(course, cluster)
        return gameday.finish(course, 0, "test", turns.wait)


def found(card: Scorecard, goal: str) -> Finding:
    return next(f for f in card.findings if f.what.startswith(f"{goal}: "))


def then(finding: Finding, commands: int = 1) -> bool:
    """Whether it is said to have gone wrong with that command."""
    return finding.when is not None and commands * PACE <= finding.when < (commands + 0.5) * PACE


def test_who_deletes_the_pod_has_destroyed_the_evidence():
    card = play("kubectl delete pod ${suspect} -n ${namespace}")
    assert card.score <= 25
    for goal in ("kept-alive", "evidence"):
        assert then(found(card, goal))
        assert found(card, goal).by.startswith(f"{SELF}: delete pods todo-app/backend-")
    assert "irkit contain" in found(card, "kept-alive").better


def test_who_scales_down_first_has_lost_all_of_it():
    card = play("kubectl get pods -n ${namespace}", "kubectl scale ${workload} -n ${namespace} --replicas=0")
    assert card.score <= 25
    assert len(card.evidence["destroyed"]) == 3
    for goal in ("kept-alive", "evidence"):
        assert then(found(card, goal), 2)
        assert found(card, goal).by == f"{SELF}: patch deployments todo-app/backend"
    assert found(card, "back-again").when is None


def test_a_new_value_in_the_cluster_alone_is_brought_back_from_the_vault():
    new = base64.b64encode(b"quite another value").decode()
    data = json.dumps({"data": dict.fromkeys(("SECRET_KEY", "BETTER_AUTH_SECRET", "GROQ_API_KEY"), new)})
    card = play(f"kubectl patch secret backend-secret -n ${{namespace}} -p '{data}'")
    assert card.score == 0
    assert then(found(card, "app-keys"))
    assert found(card, "app-keys").by == f"{SELF}: patch secrets todo-app/backend-secret"
    assert {"goal": "app-keys"}.items() <= next(each for each in card.unrotated if each["goal"] == "app-keys").items()


def test_who_only_pretends_has_done_nothing():
    """The names, labels, annotations and objects of irkit, and none of what they stand for."""

    def pretend(course: Course, cluster: Cluster) -> None:
        suspect = course.view.cast.suspect
        marks = {"irkit.dev/incident": "k7q2", "quarantine": "true"}
        body = {"metadata": {"labels": marks, "annotations": {"irkit.dev/contained": "true", "irkit.dev/verdict": "isolated", "irkit.dev/bag": "1"}}}
        cluster.patch(suspect, body)
        for kind, resource, spec in (
            ("NetworkPolicy", NETWORKPOLICIES, {"spec": {"podSelector": {"matchLabels": {"nobody": "has-this"}}}}),
            ("ConfigMap", CONFIGMAPS, {"data": {"verdict": "isolated", "evidence": "complete", "rotated": "all"}}),
        ):
            cluster.create(resource, {"apiVersion": resource.api_version, "kind": kind, **spec,
                                      "metadata": {"name": "irkit-k7q2", "namespace": suspect.namespace, "labels": marks}})  # fmt: skip

    card = by_hand(pretend)
    assert card.score == 0
    assert set(card.times.values()) == {None, card.times["detect"]}
    assert then(found(card, "cut-off"))
    assert found(card, "cut-off").by == f"{SELF}: create networkpolicies todo-app"
    assert found(card, "evidence").when is None


def request(method: str, path: str, agent: str, token: str = "", body: Any = None) -> Any:
    config = json.loads(Path(os.environ["KUBECONFIG"]).read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    trust = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    headers = {"Authorization": f"Bearer {token or user['token']}", "User-Agent": agent, "Content-Type": "application/json"}
    asked = urllib.request.Request(f"{cluster['server']}{path}", method=method, headers=headers, data=json.dumps(body).encode() if body else None)
    with urllib.request.urlopen(asked, context=trust) as answer:
        return json.load(answer)


def test_a_forged_agent_takes_no_blame_away():
    def forge(course: Course, cluster: Cluster) -> None:
        pod = course.view.cast.suspect
        request("DELETE", f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}", "kube-controller-manager/v1.33 system:serviceaccount:kube-system")

    card = by_hand(forge)
    assert card.score <= 25
    assert then(found(card, "kept-alive"))
    assert found(card, "kept-alive").by.startswith(f"{SELF}: delete pods todo-app/")


def test_nor_does_irkits_own_name_earn_anything():
    def forge(course: Course, cluster: Cluster) -> None:
        pod = course.view.cast.suspect
        for _ in range(20):
            request("GET", f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}", "irkit/9.9")

    assert by_hand(forge).score == 0


def token_of_an_account(namespace: str) -> str:
    """That a player made himself, with all rights."""
    rights = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "all"},
              "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
              "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}]}  # fmt: skip
    request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", "x", body=rights)
    told = request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token", "x",
                   body={"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})  # fmt: skip
    return str(told["status"]["token"])


def test_what_is_done_with_the_token_of_a_serviceaccount_is_blamed_on_that():
    def hide(course: Course, cluster: Cluster) -> None:
        pod = course.view.cast.suspect
        request("DELETE", f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}", "x", token=token_of_an_account(pod.namespace))

    card = by_hand(hide)
    assert then(found(card, "kept-alive"))
    assert found(card, "kept-alive").by.startswith("system:serviceaccount:todo-app:default: delete pods todo-app/")


def test_a_write_in_the_wrong_place_is_seen_by_whatever_account_it_was_done():
    """Also by one of the cluster's own, whose name looks as if nobody played it."""

    def hide(course: Course, cluster: Cluster) -> None:
        token = token_of_an_account("kube-system")
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "by-mistake"}}
        request("POST", "/api/v1/namespaces/todo-app/configmaps", "x", token=token, body=body)

    card = by_hand(hide, loader.find("look-alike"))
    assert then(found(card, "production"))
    assert found(card, "production").by.startswith("system:serviceaccount:kube-system:default: create configmaps")


def test_a_rehearsed_write_is_nobodys_fault():
    def rehearse(course: Course, cluster: Cluster) -> None:
        pod = course.view.cast.suspect
        request("DELETE", f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}?dryRun=All", "x")

    card = by_hand(rehearse)
    assert card.wrong_turns == []
    assert not any(f.what.startswith("kept-alive") for f in card.findings)
