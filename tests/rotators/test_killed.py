"""Killed before or after any write and run again with the same before-image: the same end, nobody locked out, siblings as they were."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from irkit.credentials.moved import successor
from irkit.model.credential import Credential
from irkit.model.kube import SECRETS, Obj
from irkit.model.outcome import Done
from irkit.ports import Ports, SecretStore
from irkit.rotators.holders import open_holder, promote
from tests.engine.harness import Witness
from tests.rotators.world import World

OLD, SIBLING = "old-value-0123456789", "sibling-0123456789"


class Killed(BaseException):
    """As SIGKILL: nothing of the rotator's runs after it."""


class Fuse:
    """Burns at one write: before it when ``at`` is even, after it when it is odd."""

    def __init__(self, at: int) -> None:
        self._at, self.count = at, 0

    def before(self, *what: Any) -> None:
        self._tick()

    after = before

    def _tick(self) -> None:
        self.count += 1
        if self.count == self._at + 1:
            raise Killed


class Fused:
    """Everything outside, with a fuse at each write."""

    def __init__(self, vault: SecretStore, fuse: Fuse) -> None:
        self._vault, self._fuse = vault, fuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vault, name)

    def vault(self) -> Any:
        return self

    def write(self, path: str, data: Obj) -> Obj:
        self._fuse.before()
        answer = self._vault.write(path, data)
        self._fuse.after()
        return answer


def fused(ports: Ports, fuse: Fuse) -> Ports:
    cluster: Any = Witness(ports.cluster, fuse.before, fuse.after)
    vaults: Any = Fused(ports.vaults.vault(), fuse)
    return msgspec.structs.replace(ports, cluster=cluster, vaults=vaults)


def _synced(world: World, name: str) -> Credential:
    world.put(f"prod/{name}", KEY=OLD, other=SIBLING)
    world.external(name, {"KEY": "generated"}, {"KEY": "KEY", "OTHER": "other"}, path=f"prod/{name}")
    return next(c for c in world.credentials(name) if c.cls == "generated")


def _issued(world: World, name: str) -> Credential:
    credential = msgspec.structs.replace(_synced(world, name), cls="issuer-made")
    world.approver.secrets[f"{name}/KEY"] = "from-the-issuer-0123456789"
    return credential


def _plain(world: World, name: str) -> Credential:
    world.secret(name, {"KEY": "generated"}, {"KEY": OLD, "OTHER": SIBLING})
    return next(c for c in world.credentials(name) if c.cls == "generated")


def _immutable(world: World, name: str) -> Credential:
    world.secret(name, {"KEY": "generated"}, {"KEY": OLD, "OTHER": SIBLING}, immutable=True)
    return next(c for c in world.credentials(name) if c.cls == "generated")


def _held(world: World, credential: Credential) -> dict[str, str]:
    """What applications get: of an immutable Secret, from the one that took its place."""
    return world.values(successor(credential.ref, world.incident).name) or world.values(credential.ref.name)


@pytest.mark.parametrize("make", [_synced, _issued, _plain, _immutable])
def test_run_again_after_a_kill_at_each_write(world: World, make: Callable[[World, str], Credential]) -> None:
    stages = 0
    for at in itertools.count():
        name = f"app{at}"
        credential = make(world, name)
        rotator, before = world.rotator(credential), world.begin(credential)
        fuse = Fuse(at)
        killed = False
        for _ in range(2):
            ports = fused(world.ports, fuse)
            try:
                assert isinstance(rotator.renew(credential, before, world.tools(ports=ports)), Done)
                retired = rotator.retire(credential, before, world.tools(ports=ports))
            except Killed:
                killed = True
                _nobody_is_locked_out(world, credential, name)
        assert isinstance(retired, Done)
        assert retired.data["oldValue"] in ("dead", "untested"), retired
        _nobody_is_locked_out(world, credential, name)
        assert _held(world, credential)["KEY"] != OLD
        assert _leftovers(world, credential) == []
        stages += 1
        if not killed:
            break
    assert stages >= 2


def _nobody_is_locked_out(world: World, credential: Credential, name: str) -> None:
    """The Secret holds the old value or the one in force, and the sibling."""
    entry = world.entry(f"prod/{name}") if credential.source.kind == "external-secret" else {}
    held = _held(world, credential)
    assert held["OTHER"] == SIBLING
    if entry:
        assert entry["other"] == SIBLING
        assert held["KEY"] in (OLD, entry["KEY"])


def _leftovers(world: World, credential: Credential) -> list[str]:
    names = (s["metadata"]["name"] for s in world.ports.cluster.list(SECRETS, world.namespace))
    return [n for n in names if n.startswith("irkit-pending") or (credential.immutable and n == credential.ref.name)]


def test_a_pending_value_is_kept_until_it_is_promoted(world: World) -> None:
    """What database rotators build on: propose, and be killed anywhere; the pending value is found again, the one in force is untouched."""
    for credential in _each(world):
        kept = open_holder(credential, world.tools()).read()
        holder = open_holder(credential, world.tools())
        holder.propose(kept, {"KEY": b"pending"})
        found = holder.read()
        assert (found.values["KEY"], found.pending) == (OLD.encode(), {"KEY": b"pending"})
        assert "pending" not in repr(found)
        done = promote(holder, found)
        assert (done.values["KEY"], done.pending) == (b"pending", {})
        assert (holder.read().values["KEY"], holder.read().pending) == (b"pending", {})
        again = holder.propose(holder.read(), {"KEY": b"never"})
        holder.drop(again)
        assert (holder.read().values["KEY"], holder.read().pending) == (b"pending", {})


def _each(world: World) -> Iterator[Credential]:
    yield _plain(world, "plain")
    yield _synced(world, "synced")
