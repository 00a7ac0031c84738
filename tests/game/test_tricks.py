"""Who tries to get points by asking cleverly: what counts is what was read and what holds, not how a request looks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from irkit.app import gameday
from irkit.cli import games
from irkit.game import loader
from irkit.game.course import Course
from irkit.game.goals.restarted import Restarted
from irkit.game.goals.untouched import Untouched
from irkit.model.kube import EVENTS, PODS
from tests.contracts.client import MERGE, Api, until

FIRST = loader.find("first-contact")


@pytest.fixture
def game(tmp_path: Path) -> Iterator[tuple[Course, Api]]:
    with games.staged(FIRST, 0) as (stage, turns):
        course = gameday.begin(FIRST, stage, turns, 0, lambda moment: None)
        yield course, Api(Path(stage.environment["KUBECONFIG"]), tmp_path)
        course.end()


def looked(course: Course) -> None:
    with course.turns.take():
        course.view.look()


EVERY = ("?container=backend", "?container=backend&previous=true", "")
"""By which all of the suspect's is read: its log, the one before its restart, its events."""


@pytest.mark.parametrize(("current", "previous", "events", "read"), [
    (*EVERY, True),
    ("?previous=false", "?previous=true", "?limit=500", True),
    ("?tailLines=", "?previous=true", "?watch=true&timeoutSeconds=1", True),
    ("?container=backend", "?container=backend&previous=true", "?fieldSelector=involvedObject.name%3D{pod},involvedObject.uid%3D{uid}", True),
    ("?previous=1", "?previous=true", "", False),  # twice the same
    ("?container=backend", "?container=backend&tailLines=1&previous=true", "", False),
    ("?container=backend", "?previous=true", "?fieldSelector=involvedObject.name%3D{pod},involvedObject.kind%3DNode", False),
    ("?container=backend", "?previous=true", "?fieldSelector=involvedObject.name%3D{pod},involvedObject.uid%3Dx", False),
    ("?container=backend", "?previous=true", "?limit=1", False),
    ("?container=backend", "?previous=true", "?watch=true&timeoutSeconds=1&resourceVersion={version}", False),
])  # fmt: skip
def test_evidence_is_what_was_read_whole(game: tuple[Course, Api], current: str, previous: str, events: str, read: bool) -> None:
    course, api = game
    suspect = course.view.cast.suspect
    words = {"pod": suspect.name, "uid": suspect.uid, "version": course.view.stage.version}
    for query in (current, previous):
        assert api.send("GET", PODS.path(suspect.namespace, suspect.name, "log") + query).status == 200
    list(api.stream(EVENTS.path(suspect.namespace) + events.format(**words)))
    until(lambda: sum(e["stage"] == "ResponseComplete" for e in course.view.stage.asked) >= 3, "all three are in the audit log")
    looked(course)
    assert course.view.read(suspect) is read


@pytest.mark.parametrize("query", ["?fieldManager=dryRun", "?dryRun=", "?x=dryRun%3DAll", "?dryRun=&dryRun=All"])
def test_a_write_is_a_write_whatever_else_is_in_its_address(game: tuple[Course, Api], query: str) -> None:
    course, api = game
    patch: dict[str, Any] = {"metadata": {"labels": {"x": "y"}}}
    suspect = course.view.cast.suspect
    assert api.send("PATCH", PODS.path(suspect.namespace, suspect.name) + query, patch, type=MERGE).status == 200
    looked(course)
    assert not Untouched((suspect.namespace,)).look(course.view).holds


def test_a_rehearsed_write_is_none(game: tuple[Course, Api]) -> None:
    course, api = game
    suspect = course.view.cast.suspect
    assert api.send("DELETE", PODS.path(suspect.namespace, suspect.name) + "?dryRun=All").status == 200
    looked(course)
    assert Untouched((suspect.namespace,)).look(course.view).holds


ROTATED = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "new", "namespace": "todo-app"}, "stringData": {"A": "another value"}}
BARE = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "mine", "namespace": "todo-app", "labels": {"app": "backend"}},
        "spec": {"containers": [{"name": "a", "image": "b"}]}}  # fmt: skip


@pytest.mark.parametrize(("commands", "restarted"), [
    (["kubectl rollout restart deployment/backend -n todo-app"], True),
    ([], False),
    (["label", "kubectl scale deployment/backend -n todo-app --replicas=1"], False),  # the old ones work on, under no label
    (["kubectl scale deployment/backend -n todo-app --replicas=0", "bare"], False),  # somebody's own pod is not the application
])  # fmt: skip
def test_an_application_is_restarted_when_its_pods_are_and_not_their_labels(commands: list[str], restarted: bool) -> None:
    with games.staged(FIRST, 0) as (stage, turns), games.hand(turns.wait) as do:
        course = gameday.begin(FIRST, stage, turns, 0, lambda moment: None)
        old = [p["metadata"]["name"] for p in stage.objects(PODS, "todo-app") if p["metadata"]["labels"].get("app") == "backend"]
        turns.wait(60)
        with turns.take():
            stage.put(ROTATED)
        for command in commands:
            if command == "bare":
                with turns.take():
                    stage.put(BARE)
            elif command == "label":
                gameday.respond(course, [f"kubectl label pod {name} -n todo-app app-" for name in old], do, turns.wait)
            else:
                gameday.respond(course, [command], do, turns.wait)
        turns.wait(60)
        assert Restarted("todo-app/backend", "todo-app/new").look(course.view).holds is restarted
        course.end()


def test_an_endpoint_that_somebody_wrote_serves_nobody() -> None:
    """A Service is down when its pods are, whatever slices say."""
    with games.staged(FIRST, 0) as (stage, turns), games.hand(turns.wait) as do:
        course = gameday.begin(FIRST, stage, turns, 0, lambda moment: None)
        meta = {"name": "mine", "namespace": "todo-app", "labels": {"kubernetes.io/service-name": "backend"}}
        with turns.take():
            stage.put({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta, "addressType": "IPv4",
                       "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}]})  # fmt: skip
        gameday.respond(course, ["kubectl scale deployment/backend -n todo-app --replicas=0"], do, turns.wait)
        turns.wait(60)
        assert course.view.history.outage(("todo-app", "backend"), course.view.now) >= 60
        course.end()


@pytest.mark.parametrize(("before", "after", "read"), [
    (True, "", True), (False, "", False), (False, "&previous=true", True),
])  # fmt: skip
def test_what_a_pod_wrote_before_it_crashed_is_read_only_by_who_reads_that(before: bool, after: str, read: bool, tmp_path: Path) -> None:
    """A restart moves the log of before to the previous one; one more, and it is lost."""
    with games.staged(FIRST, 0) as (stage, turns):
        course = gameday.begin(FIRST, stage, turns, 0, lambda moment: None)
        api, suspect = Api(Path(stage.environment["KUBECONFIG"]), tmp_path), course.view.cast.suspect
        log = f"{PODS.path(suspect.namespace, suspect.name, 'log')}?container=backend"
        api.get(EVENTS.path(suspect.namespace))
        list(api.stream(f"{log}&previous=true"))
        if before:
            list(api.stream(log))
        until(lambda: sum(e["stage"] == "ResponseComplete" for e in stage.asked) >= 2 + before, "they are in the audit log")
        looked(course)
        with turns.take():
            stage.crash(suspect.namespace, suspect.name)
        list(api.stream(f"{log}{after}"))
        until(lambda: sum(e["stage"] == "ResponseComplete" for e in stage.asked) >= 3 + before, "it is, too")
        looked(course)
        assert course.view.read(suspect) is read
        course.end()
