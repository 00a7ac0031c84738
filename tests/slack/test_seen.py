"""What one door opened is seen at the others: the command line, a chat's Home tab, the object store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.components.s3 import Store
from tests.slack.people import ANN
from tests.slack.server import Server
from tests.slack.world import READS, World, said, until


@pytest.mark.slow
def test_an_incident_of_the_command_line_is_on_the_home_tab_and_one_of_slack_in_the_list(world: World) -> None:
    irkit, (first, *_) = world.starts(), world.pods()
    contained = world.irkit("contain", first, "-n", "todo-app", "--yes", "-o", "json")
    assert contained.returncode == 0, contained.stderr
    opened = json.loads(contained.stdout)["incident"]
    world.people.opens_home()
    home = until(lambda: world.slack.homes.get(ANN), 20, lambda: str(irkit.lines))
    assert "1 open incident" in said(home)
    assert opened in said(home)
    assert f"todo-app/{first}" in said(home)
    world.people.types(f"status {opened}")
    assert f"id: {opened}\nstatus: contained" in said(world.whisper("step stop-workload: done"))

    database = world.pods("postgres")[0]
    world.people.types(f"collect {database}")
    world.live("is done")
    listed = world.irkit("incident", "list", "-o", "json")
    (order,) = world.orders()
    assert {opened, order["status"]["incident"]} == {i["id"] for i in json.loads(listed.stdout)["items"]}
    shown = world.irkit("incident", "show", order["status"]["incident"]).stdout
    assert f"ann (slack {ANN})" in shown


@pytest.mark.slow
def test_the_end_says_how_much_there_is_its_hash_and_where_it_was_pushed(world: World, object_store: Store, tmp_path: Path) -> None:
    bucket = object_store.bucket()
    world.extra = {"store": {**object_store.settings(bucket, tmp_path), "push": True}}
    world.starts()
    world.people.types(f"collect {world.pods()[0]}")
    message = world.live("is done")
    (order,) = world.orders()
    ended = order["status"]["ended"]
    (key,) = object_store.objects(bucket)
    assert ended["manifest"] in key or ended["manifest"][:12] in key
    assert f"SHA-256 of the bag's tag manifest {ended['manifest']}" in said(message)
    assert f"pushed to {ended['pushed']}" in said(message)
    assert ended["pushed"].endswith(key)
    assert f"{ended['artefacts']} artefacts of evidence" in said(message)


@pytest.mark.slow
def test_what_is_missing_is_said_with_the_reason(slack: Server, tmp_path: Path) -> None:
    with World(tmp_path, slack) as world:
        pod = world.pods()[0]
        world.becomes("nightshift", READS)
        irkit = world.starts()
        world.people.types(f"collect {pod}")
        until(lambda: any("Missing: " in said(m) for m in list(slack.messages.values())), 20, lambda: f"{irkit.said} {slack.messages}")
        message = world.live("is done")
        (order,) = world.orders()
    missing, count = order["status"]["ended"]["missing"], order["status"]["ended"]["missing_count"]
    assert f"Missing: {count} pieces" in said(message)
    assert f'logs of backend in Pod todo-app/{pod}: pods "{pod}" is forbidden: User "nightshift" cannot get resource "pods/log"' in said(message)
    assert [line for line in missing[:10] if line not in said(message)] == []
    assert f"and {count - 10} more" in said(message)
