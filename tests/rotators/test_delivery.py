"""From the store into the cluster: what goes wrong on the way is one sentence; the old value works on, the new one is in the store."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from irkit.errors import EndStateError, ForbiddenError, IrkitError, UnreachableError
from irkit.model.credential import Credential
from irkit.model.outcome import Done
from irkit.ports import WatchEvent
from irkit.rotators import Before
from irkit.settings.rotation import RotationSettings
from tests.rotators.world import EXTERNALSECRETS, STORES, World

OLD = "old-value-0123456789"


@pytest.fixture
def synced(world: World) -> World:
    world.put(KEY=OLD, other="x")
    world.external("app", "generated", {"SECRET": "KEY"})
    return world


def failed(world: World, credential: Credential, before: Before, error: type[IrkitError], code: int, says: str) -> None:
    """The renewal fails so; the application's value is the old one, the store has a new one, and no value is told."""
    with pytest.raises(error, match=says) as raised:
        world.renew(credential, before)
    new = world.entry()["KEY"]
    assert new != OLD
    assert world.values("app") == {"SECRET": OLD}
    assert (raised.value.exit_code, "\n" in raised.value.message, raised.value.next) == (code, False, "irkit resume")
    assert OLD not in raised.value.message
    assert new not in raised.value.message


@pytest.mark.slow
def test_a_sync_that_fails_is_told_with_its_reason_and_resumed(synced: World) -> None:
    credential = synced.credential("app")
    before = synced.begin(credential)
    synced.patch(STORES, "vault", {"spec": {"provider": {"vault": {"path": "no-such-mount"}}}})
    failed(
        synced, credential, before, EndStateError, 5, r"could not be synced: .*; the new value is in the store; the Secret still holds the old one"
    )
    synced.patch(STORES, "vault", {"spec": {"provider": {"vault": {"path": synced.kv}}}})
    assert isinstance(synced.renew(credential, before), Done)  # the ExternalSecret is in error still, when that begins
    assert synced.values("app") == {"SECRET": synced.entry()["KEY"]}


def test_a_store_that_hangs(rehearsal: World) -> None:
    """Its address answers nobody: the operator says nothing until its own time-out."""
    rehearsal.put(KEY=OLD)
    rehearsal.external("app", "generated", {"SECRET": "KEY"})
    credential = rehearsal.credential("app")
    before = rehearsal.begin(credential)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"http://127.0.0.1:{silent.getsockname()[1]}"
        rehearsal.patch(STORES, "vault", {"spec": {"provider": {"vault": {"server": server}}}})
        rehearsal.set(rotation=RotationSettings(sync_timeout=1.5))
        failed(rehearsal, credential, before, UnreachableError, 7, "was not synced in time")


def test_a_target_that_is_immutable_after_all(synced: World) -> None:
    """The status says synced; the data don't change."""
    before = synced.begin(synced.credential("app"))
    synced.patch(EXTERNALSECRETS, "app", {"spec": {"target": {"name": "app", "immutable": True}}})
    synced.set(rotation=RotationSettings(sync_timeout=2))
    credential = synced.credential("app")
    with pytest.raises((UnreachableError, EndStateError)) as raised:
        synced.renew(credential, before)
    assert synced.values("app") == {"SECRET": OLD}
    assert "the Secret still holds the old one" in raised.value.message


def test_an_external_secret_that_went_away(synced: World) -> None:
    credential = synced.credential("app")
    before = synced.begin(credential)
    gone = msgspec.structs.replace(credential.source.external_secret, uid="another")  # type: ignore[type-var]
    other = msgspec.structs.replace(credential, source=msgspec.structs.replace(credential.source, external_secret=gone))
    with pytest.raises(EndStateError, match="is gone, or another one has its name"):
        synced.renew(other, before)
    assert synced.values("app") == {"SECRET": OLD}


def test_where_one_may_not_watch_it_is_looked_at(rehearsal: World) -> None:
    class Blind:
        def __init__(self, cluster: Any) -> None:
            self._cluster = cluster

        def __getattr__(self, name: str) -> Any:
            return getattr(self._cluster, name)

        def watch(self, *what: Any, **how: Any) -> Iterator[WatchEvent]:
            raise ForbiddenError("no watch for you")

    rehearsal.put(KEY=OLD)
    rehearsal.external("app", "generated", {"SECRET": "KEY"})
    cluster: Any = Blind(rehearsal.ports.cluster)
    rehearsal.ports = msgspec.structs.replace(rehearsal.ports, cluster=cluster)
    assert isinstance(rehearsal.renew(rehearsal.credential("app")), Done)
    assert rehearsal.values("app") == {"SECRET": rehearsal.entry()["KEY"]}


def test_few_requests_for_each_entry_and_one_watch_for_all(rehearsal: World) -> None:
    """12 entries: what is shared is asked once; each entry costs a fixed handful of requests."""
    names = [f"app{n}" for n in range(12)]
    for name in names:
        rehearsal.put(f"prod/{name}", KEY=OLD)
        rehearsal.external(name, "generated", {"SECRET": "KEY"}, path=f"prod/{name}")
    asked: list[str] = []

    class Counting:
        def __init__(self, behind: Any) -> None:
            self._behind = behind

        def __getattr__(self, name: str) -> Any:
            found = getattr(self._behind, name)

            def call(*what: Any, **how: Any) -> Any:
                asked.append(name)
                return found(*what, **how)

            return call if name in ("get", "list", "watch", "patch", "create", "read", "write") else found

    vault: Any = Counting(rehearsal.ports.vaults.vault())
    vaults: Any = type("Vaults", (), {"vault": lambda self: vault})()
    cluster: Any = Counting(rehearsal.ports.cluster)
    credentials = rehearsal.credentials(*names)
    tools = rehearsal.tools(ports=msgspec.structs.replace(rehearsal.ports, cluster=cluster, vaults=vaults))
    rotator = rehearsal.rotator(credentials[0])
    befores = [rotator.before(c, tools) for c in credentials]
    done: list[object] = []
    threads = [threading.Thread(target=lambda c=c, b=b: done.append(rotator.renew(c, b, tools))) for c, b in zip(credentials, befores, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    retired = [rotator.retire(c, b, tools) for c, b in zip(credentials, befores, strict=True)]
    assert all(isinstance(o, Done) for o in (*done, *retired))
    each = {kind: asked.count(kind) / 12 for kind in ("read", "write", "patch", "get")}
    assert (each["read"], each["write"], each["patch"]) == (4, 3, 1)  # before, renew, retire, its proof; value, mark, destroy; force-sync
    assert each["get"] <= 3  # the Secret before, and once or twice after
    assert asked.count("list") == 2  # ExternalSecrets; and Secrets, where many are asked for
    assert asked.count("watch") <= 3
