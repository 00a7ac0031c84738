"""Both doors in one process: an alert asks, a person in Slack approves, and it is done once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.slack.people import BOB
from tests.slack.server import Server, strict
from tests.slack.world import World, said
from tests.web.desk import firing, token_settings
from tests.web.test_serve import Place, Started, started, until

RULES = """
apiVersion: irkit.dev/v1
kind: Rules
rules:
  - name: cut
    match: {source: alertmanager, name: CryptoMiner}
    run: {command: contain}
    approvers: [approvers]
  - name: tried
    match: {source: alertmanager, name: Tried}
    run: {command: contain}
    dry-run: true
  - name: evidence
    match: {source: alertmanager, name: Shell}
    run: {command: collect}
"""


@pytest.fixture
def slack() -> Iterator[Server]:
    with strict() as server:
        yield server


@pytest.fixture
def world(slack: Server, tmp_path: Path) -> Iterator[World]:
    (tmp_path / "rules.yaml").write_text(RULES)
    with World(tmp_path, slack, settings={"tell-channel": "C0INC"}) as made:
        made.extra = {"serve": {"rules": str(tmp_path / "rules.yaml"), "sources": {"alertmanager": token_settings(format="alertmanager")}}}
        yield made


@pytest.fixture
def serve(world: World, tmp_path: Path) -> Iterator[Started]:
    with started(Place(tmp_path, world.environment), "--slack") as running:
        world.slack.connections(1)
        until(lambda: running.ask("GET", "/readyz")[0] == 200)
        yield running


def test_what_an_alert_asks_for_is_approved_in_slack(world: World, serve: Started) -> None:
    pod = world.pods()[0]
    status, answer = serve.ask("POST", "/hooks/alertmanager", firing(pod, name="CryptoMiner"))
    assert status == 202
    message = world.live("waits for approval")
    world.people.presses(message, "irkit-approve", user=BOB)
    world.live("is done")
    (order,) = world.orders()
    assert (order["order"]["id"], order["order"]["origin"]["door"]) == (answer["order"], "webhook")
    assert [d["by"]["sender"] for d in order["status"]["decisions"]] == [BOB]
    assert world.irkit("verify", pod, "-n", "todo-app").returncode == 0


def test_a_burst_of_500_alerts_makes_one_order_one_incident_and_one_thread(world: World, serve: Started) -> None:
    pod = world.pods()[0]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: serve.ask("POST", "/hooks/alertmanager", firing(pod, name="Shell")), range(500)))
    assert {status for status, _ in answers} == {200, 202}
    assert len({answer["order"] for _, answer in answers}) == 1
    world.live("is done")
    assert len(world.orders()) == 1
    assert len(list((world.irkit_home / "incidents").iterdir())) == 1
    assert len(world.slack.messages) == 2, "the thread's head, and the one message in it"


def test_questions_are_answered_where_playbooks_are_ones_own(world: World, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    with started(Place(tmp_path, world.environment), "--slack", "--playbooks", str(tmp_path / "own")):
        world.slack.connections(1)
        world.people.types(f"blast-radius {world.pods()[0]}")
        world.whisper("Secret todo-app/backend-secret")


def test_a_dry_run_is_told_to_nobody(world: World, serve: Started) -> None:
    pods = world.pods()
    assert "dry run" in serve.ask("POST", "/hooks/alertmanager", firing(pods[0], name="Tried"))[1]["ignored"]
    serve.ask("POST", "/hooks/alertmanager", firing(pods[1], name="Shell"))
    world.live("is done")
    assert not [text for text in map(said, world.slack.messages.values()) if "contain" in text]
    report = json.loads(world.irkit("serve", "report", "-o", "json").stdout)
    assert re.fullmatch(r"todo-app/.*", report["rules"][0]["targets"][0]["target"])
