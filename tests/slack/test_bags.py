"""A bag goes into the one channel that is set up for bags, once, whole, and as it was sealed; or nowhere."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from irkit.listeners.slack import bags
from irkit.model.order import Ended
from tests.evidence.bags import artefact, sealed
from tests.slack.inside import Inside
from tests.slack.server import LEAST, Server, strict
from tests.slack.world import World, said, until

INCIDENT = "20261122T031502Z-web-0-bcdfgh"


def test_the_bag_of_a_collection_is_uploaded_once_and_is_valid(tmp_path: Path) -> None:
    with strict((*LEAST, "files:write")) as slack, World(tmp_path, slack, settings={"bag-channel": "C0BAGS"}) as world:
        irkit = world.starts()
        world.people.types(f"collect {world.pods()[0]}")
        message = world.live("the bag is in <#C0BAGS>")
        [file] = slack.files.values()
        assert file["channel"] == "C0BAGS"
        with tarfile.open(fileobj=io.BytesIO(file["content"]), mode="r:gz") as tar:
            tar.extractall(tmp_path / "got", filter="data")
        [bag] = (tmp_path / "got").iterdir()
        assert world.irkit("bundle", "verify", str(bag)).returncode == 0
        manifest = hashlib.sha256((bag / "tagmanifest-sha256.txt").read_bytes()).hexdigest()
        assert manifest in said(message)
        irkit.end()
        world.starts()
        until(lambda: len([m for _, m in slack.calls if m == "auth.test"]) == 2, 10, lambda: "not begun again")
        assert len(slack.files) == 1


def ended(inside: Inside, bag: Path, **changed: Any) -> None:
    """An order of a collection that is done, as a worker leaves it."""
    inside.people.types("collect web-0 -n todo-app")
    manifest = hashlib.sha256((bag / "tagmanifest-sha256.txt").read_bytes()).hexdigest() if bag.exists() else "0" * 64
    values = {"outcome": "done", "exit_code": 0, "summary": "1 artefact of evidence", "bundle": str(bag), "manifest": manifest, **changed}
    inside.becomes(inside.order(), state="done", incident=INCIDENT, ended=Ended(**values))


@pytest.fixture
def slack() -> Any:
    with strict((*LEAST, "files:write")) as server:
        yield server


@pytest.fixture
def inside(slack: Server, tmp_path: Path) -> Any:
    with Inside(slack, tmp_path, **{"bag-channel": "C0BAGS", "bag-limit": 1}) as made:
        yield made


def bag_in(inside: Inside, folder: str = "") -> Path:
    return sample(inside.home / (folder or f"incidents/{INCIDENT}"))


def sample(directory: Path) -> Path:
    return Path(sealed(directory, artefact("pods/todo-app/web-0/app/current.log", b"a line\n"), info={"Bagging-Date": "2026-11-22"}).path)


def test_a_bag_of_this_machine_is_uploaded(inside: Inside) -> None:
    ended(inside, bag_in(inside))
    inside.live("the bag is in <#C0BAGS>")
    assert inside.event("bag-uploaded")["channel"] == "C0BAGS"
    assert [f["channel"] for f in inside.slack.files.values()] == ["C0BAGS"]


@pytest.mark.parametrize("way", ["elsewhere", "changed", "another", "gone", "large", "link"])
def test_a_path_that_is_no_sealed_bag_of_that_incident_is_not_uploaded(inside: Inside, way: str) -> None:
    bag = bag_in(inside, "elsewhere/x" if way == "elsewhere" else "")
    changed: dict[str, Any] = {}
    if way == "changed":
        next(p for p in (bag / "data").rglob("*") if p.is_file()).write_bytes(b"forged")
    elif way == "another":
        changed = {"manifest": "1" * 64}
    elif way == "gone":
        changed = {"bundle": str(bag.parent / "7")}
    elif way == "large":
        import secrets

        (bag / "data" / "more").write_bytes(secrets.token_bytes(1_200_000))
    else:
        (bag / "data" / "link").symlink_to("/etc/passwd")
    ended(inside, bag, **changed)
    inside.live("the bag is not in Slack")
    inside.event("bag-not-uploaded")
    assert inside.slack.files == {}


def test_the_same_bag_is_packed_as_the_same_bytes(tmp_path: Path) -> None:
    packed = []
    for name in ("one", "two"):
        file = io.BytesIO()
        bags.pack(sample(tmp_path / name), "bag", file)
        packed.append(file.getvalue())
    assert packed[0] == packed[1]
    with tarfile.open(fileobj=io.BytesIO(packed[0]), mode="r:gz") as tar:
        assert {(m.uid, m.gid, m.mode, m.mtime, m.uname) for m in tar} == {(0, 0, 0o600, 0, "")}


def test_an_upload_waits_for_slack_and_is_done_once(inside: Inside) -> None:
    inside.slack.throttle("files.getUploadURLExternal", 1, 1.0)
    ended(inside, bag_in(inside))
    inside.live("the bag is in <#C0BAGS>")
    assert len(inside.slack.files) == 1


def test_while_a_bag_is_on_its_way_other_orders_are_told(inside: Inside) -> None:
    inside.slack.uploads.clear()
    ended(inside, bag_in(inside))
    inside.live("1 artefact of evidence")
    until(lambda: inside.slack.files, 5, lambda: f"{inside.lines}")
    inside.people.types("collect web-1 -n todo-app")
    until(lambda: [m for m in list(inside.slack.messages.values()) if m.get("thread_ts") and "web-1" in said(m)], 5, lambda: f"{inside.lines}")
    inside.slack.uploads.set()
    inside.live("the bag is in <#C0BAGS>")
    assert len(inside.slack.files) == 1


def test_each_incident_gets_a_channel_of_its_own_where_that_is_wanted(tmp_path: Path) -> None:
    with strict((*LEAST, "groups:write")) as slack, Inside(slack, tmp_path, **{"incident-channels": True}) as inside:
        held, _message = inside.planned()
        inside.becomes(held, state="running", incident=INCIDENT)
        room = until(lambda: [c for c in slack.channels.values() if c["name"].startswith("irkit-")], 5, lambda: str(inside.lines))[0]
        until(lambda: room["members"], 5, lambda: str(inside.lines))
        assert (room["is_private"], room["members"]) == (True, ["U0ANN", "U0BOB"])
        until(lambda: [m for m in slack.messages.values() if m["channel"] == room["id"]], 5, lambda: str(inside.lines))
