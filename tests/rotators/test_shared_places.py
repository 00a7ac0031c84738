"""Several that write to one place: other credentials, other rotations, other people. Nothing of anybody's is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from irkit.errors import RefusedError
from irkit.model.kube import SECRETS, Obj
from irkit.model.outcome import Done, Skipped
from irkit.rotators.holders import open_holder
from tests.rotators.world import World

OLD = "old-value-0123456789"


class Meddling:
    """A Vault in which somebody does something right before the n-th write."""

    def __init__(self, world: World, does: Callable[[], object], at: int = 0) -> None:
        self._vault, self._does, self._left = world.ports.vaults.vault(), does, at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vault, name)

    def vault(self) -> Any:
        return self

    def write(self, path: str, data: Obj) -> Obj:
        self._left -= 1
        if self._left == -1:
            self._does()
        return self._vault.write(path, data)


def meddled(world: World, does: Callable[[], object], at: int = 0) -> Any:
    vaults: Any = Meddling(world, does, at)
    return world.tools(ports=msgspec.structs.replace(world.ports, vaults=vaults))


def test_somebody_writes_a_sibling_meanwhile(world: World) -> None:
    world.put(KEY=OLD, other="one")
    world.external("app", "generated", {"SECRET": "KEY"})
    credential = world.credential("app")
    tools = meddled(world, lambda: world.put(KEY=OLD, other="two", more="three"))
    assert isinstance(world.rotator(credential).renew(credential, world.begin(credential), tools), Done)
    entry = world.entry()
    assert (entry["other"], entry["more"], entry["KEY"] != OLD) == ("two", "three", True)


def test_somebody_rotates_it_meanwhile(world: World) -> None:
    world.put(KEY=OLD, other="one")
    world.external("app", "generated", {"SECRET": "KEY"})
    credential, theirs = world.credential("app"), "value-of-another-rotation-01"
    before = world.begin(credential)
    tools = meddled(world, lambda: world.put(KEY=theirs, other="one"))
    with pytest.raises(RefusedError, match="was changed by somebody else meanwhile; theirs is kept") as raised:
        world.rotator(credential).renew(credential, before, tools)
    assert (raised.value.exit_code, theirs in str(raised.value)) == (8, False)
    assert world.entry() == {"KEY": theirs, "other": "one"}
    assert isinstance(world.renew(credential, before), Done)  # and the next run takes theirs into the cluster
    assert world.values("app")["SECRET"] == theirs


def test_somebody_patches_the_plain_secret_meanwhile(world: World) -> None:
    world.secret("app", {"KEY": "generated"}, {"KEY": OLD, "OTHER": "one"})
    credential = next(c for c in world.credentials("app") if c.keys == ("KEY",))
    holder = open_holder(credential, world.tools())
    kept = holder.read()
    world.patch(SECRETS, "app", {"stringData": {"OTHER": "two"}})
    holder.write(kept, {"KEY": b"new"})
    assert world.values("app") == {"KEY": "new", "OTHER": "two"}
    with pytest.raises(RefusedError, match="changed by somebody else meanwhile"):
        holder.write(kept, {"KEY": b"newer"})
    assert world.values("app") == {"KEY": "new", "OTHER": "two"}


def test_two_external_secrets_on_one_property(world: World) -> None:
    world.put(KEY=OLD)
    for name in ("one", "two"):
        world.external(name, "generated", {"SECRET": "KEY"})
    both = world.credentials("one", "two")
    befores = [world.begin(c) for c in both]
    for credential, before in zip(both, befores, strict=True):
        assert isinstance(world.renew(credential, before), Done)
    assert world.about()["current_version"] == 2  # rotated once
    assert world.values("one") == world.values("two") == {"SECRET": world.entry()["KEY"]}
    for credential, before in zip(both, befores, strict=True):
        outcome = world.rotator(credential).retire(credential, before, world.tools())
        assert isinstance(outcome, Done)
        assert outcome.data["oldValue"] == "dead"


def test_two_classes_in_one_entry(world: World) -> None:
    world.put(A=OLD, B="old-of-the-issuer-0123")
    world.external("app", {"A": "generated", "B": "issuer-made"}, {"A": "A", "B": "B"})
    world.approver.secrets["app/B"] = "new-of-the-issuer-0123\n"
    both = world.credentials("app")
    befores = [world.begin(c) for c in both]
    outcomes = [world.renew(c, b) for c, b in zip(both, befores, strict=True)]
    retired = [world.rotator(c).retire(c, b, world.tools()) for c, b in zip(both, befores, strict=True)]
    assert all(isinstance(o, Done) for o in outcomes)
    assert sorted(o.data["oldValue"] for o in retired if isinstance(o, Done)) == ["dead", "untested"]
    assert world.values("app") == world.entry()
    assert (world.entry()["B"], world.entry()["A"] != OLD) == ("new-of-the-issuer-0123", True)
    assert [world.entry(version=n) for n in (1, 2)] == [None, None]  # both still held an old value


def test_an_old_version_without_the_old_value_is_left(world: World) -> None:
    world.put(KEY="of-long-ago-0123456789")
    world.put(KEY=OLD)
    world.put(KEY=OLD, other="x")
    world.rotate(world.agent())
    assert [bool(world.entry(version=n)) for n in (1, 2, 3, 4)] == [True, False, False, True]


def test_a_value_that_comes_back_is_alive(world: World) -> None:
    world.put(KEY=OLD)
    credential = world.agent()
    before = world.begin(credential)
    world.renew(credential, before)
    world.put(KEY=OLD)
    outcome = world.rotator(credential).retire(credential, before, world.tools())
    assert isinstance(outcome, Done)
    assert outcome.data["oldValue"] == "alive"
    assert "holds it again (KEY)" in outcome.data["how"]


def test_an_engine_of_version_1(world: World) -> None:
    kv = world.vault.mount("kv", "1")
    world.vault.ok("POST", f"{kv}/prod/app", {"KEY": OLD, "other": "one"})
    agent = world.agent()
    credential = msgspec.structs.replace(agent, keys=("KEY",), source=msgspec.structs.replace(agent.source, mount=kv, version=""))
    before, renewed, retired = world.rotate(credential)
    assert before["version"] == ""
    assert isinstance(renewed, Done)
    assert "takes no mark" in renewed.detail
    assert isinstance(retired, Done)
    assert retired.data["how"].endswith("KV version 1 keeps no old ones")
    now = world.vault.ok("GET", f"{kv}/prod/app")
    assert (now["other"], now["KEY"] != OLD, set(now)) == ("one", True, {"KEY", "other"})


def test_what_was_given_is_kept_when_the_rest_is_declined(world: World) -> None:
    world.secret("app", "issuer-made", {"A": "old-a", "B": "old-b"})
    world.approver.secrets["app/A"] = "new-a"
    credential = world.credential("app")
    before = world.begin(credential)
    first = world.renew(credential, before)
    assert isinstance(first, Skipped)
    assert "app/B" in first.why
    assert world.values("app") == {"A": "new-a", "B": "old-b"}
    world.approver.asked.clear()
    world.approver.secrets["app/B"] = "new-b"
    assert isinstance(world.renew(credential, before), Done)
    assert world.approver.asked == ["app/B"]
    assert world.values("app") == {"A": "new-a", "B": "new-b"}
