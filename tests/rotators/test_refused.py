"""What would not work is said before the first write, in one sentence and with its exit code; then nothing was written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from irkit.errors import EndStateError, ForbiddenError, IrkitError, RefusedError, UnreachableError, UsageError
from irkit.model.credential import Credential, Source
from irkit.model.kube import SECRETS, ObjectRef
from irkit.settings.rotation import Format, RotationSettings
from tests.rotators.world import EXTERNALSECRETS, World, until

OLD = "old-value-0123456789"


def refused(world: World, credential: Credential, error: type[IrkitError], code: int, says: str) -> None:
    """``before`` says why, and nothing was written: not in the Vault, not in the cluster."""
    entry, secret, external = world.about(), world.get(SECRETS, "app"), world.get(EXTERNALSECRETS, "app")
    with pytest.raises(error, match=says) as raised:
        world.begin(credential)
    assert (raised.value.exit_code, OLD in str(raised.value), "\n" in raised.value.message) == (code, False, False)
    assert (world.about(), world.get(SECRETS, "app"), world.get(EXTERNALSECRETS, "app")) == (entry, secret, external)


@pytest.fixture
def synced(world: World) -> World:
    world.put(KEY=OLD)
    return world


@pytest.mark.parametrize(("spec", "says"), [
    ({"refreshPolicy": "CreatedOnce"}, "CreatedOnce"), ({"refreshInterval": "0"}, "refreshInterval 0"),
    ({"refreshInterval": "0h0m0s"}, "refreshInterval 0"),
])  # fmt: skip
def test_an_external_secret_that_is_read_once(synced: World, spec: dict[str, Any], says: str) -> None:
    synced.external("app", "generated", {"SECRET": "KEY"}, **spec)
    refused(synced, synced.credential("app"), EndStateError, 5, says)


def test_a_target_that_is_immutable(synced: World) -> None:
    synced.external("app", "generated", {"SECRET": "KEY"}, target={"name": "app", "immutable": True})
    refused(synced, synced.credential("app"), EndStateError, 5, "immutable")


def test_an_external_secret_in_error(synced: World) -> None:
    synced.external("app", "generated", {"SECRET": "KEY"})
    credential = synced.credential("app")
    data = [{"secretKey": "SECRET", "remoteRef": {"key": "prod/app", "property": "no"}}]
    synced.patch(EXTERNALSECRETS, "app", {"spec": {"data": data}})
    until(lambda: "SecretSyncedError" in str(synced.get(EXTERNALSECRETS, "app")), "it is in error")
    refused(synced, credential, EndStateError, 5, "it is in error")


def test_the_wrong_vault(synced: World) -> None:
    synced.external("app", "generated", {"SECRET": "KEY"})
    credential = synced.credential("app")
    synced.put(KEY="of-another-vault-0123456789")
    refused(synced, credential, RefusedError, 8, "this is not the Vault that it is filled from")


def test_a_secret_that_vanished(synced: World) -> None:
    synced.external("app", "generated", {"SECRET": "KEY"}, target={"name": "app", "creationPolicy": "Orphan"})
    credential = synced.credential("app")
    synced.ports.cluster.delete(ObjectRef(resource=EXTERNALSECRETS, name="app", namespace=synced.namespace))
    until(lambda: synced.get(EXTERNALSECRETS, "app") is None, "it is deleted")
    with pytest.raises(EndStateError, match=r"ExternalSecret .* is gone"):
        synced.begin(credential)
    plain = msgspec.structs.replace(credential, source=Source())
    synced.ports.cluster.delete(ObjectRef(resource=SECRETS, name="app", namespace=synced.namespace))
    with pytest.raises(EndStateError, match=r"Secret .* is gone"):
        synced.begin(plain)


@pytest.mark.parametrize(("change", "error", "code", "says"), [
    (lambda s: {"path": "prod/none"}, EndStateError, 5, "is not there"),
    (lambda s: {"path": "../sys/seal"}, EndStateError, 5, "is no path"),
    (lambda s: {"mount": "no-mount", "version": ""}, EndStateError, 5, "no engine at no-mount"),
    (lambda s: {"mount": "sys", "version": ""}, EndStateError, 5, "no (KV )?engine"),
    (lambda s: {"properties": {"SECRET": "N"}}, EndStateError, 5, "has no text under N"),
])  # fmt: skip
def test_an_entry_that_is_not_there(synced: World, change: Callable[[Source], dict[str, Any]], error: type[IrkitError], code: int, says: str) -> None:
    synced.put(KEY=OLD, N=1)
    agent = synced.agent()
    credential = msgspec.structs.replace(agent, keys=("SECRET",), source=msgspec.structs.replace(
        agent.source, **{"properties": {"SECRET": "KEY"}, **change(agent.source)}))  # fmt: skip
    refused(synced, credential, error, code, says)


def test_an_impossible_format(synced: World) -> None:
    synced.external("app", "generated", {"SECRET": "KEY"})
    synced.set(rotation=RotationSettings(formats=(Format(charset="0", length=8),)))
    refused(synced, synced.credential("app"), UsageError, 2, "fewer than two characters")


def test_no_right_in_the_vault(rehearsal: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from irkit.adapters.outside import Outside

    rehearsal.put(KEY=OLD)
    token = rehearsal.vault.client(f'path "{rehearsal.kv}/data/other" {{ capabilities = ["read"] }}')
    monkeypatch.setenv("VAULT_TOKEN", token)
    rehearsal.ports = msgspec.structs.replace(rehearsal.ports, vaults=Outside(rehearsal.ports.settings))
    refused(rehearsal, rehearsal.agent(), ForbiddenError, 4, "permission denied|forbid|may not|allow")


def test_no_vault(rehearsal: World) -> None:
    from irkit.adapters.outside import Outside
    from irkit.settings.rotation import VaultSettings

    rehearsal.put(KEY=OLD)
    rehearsal.set(vault=VaultSettings(address="https://127.0.0.1:9"))
    rehearsal.ports = msgspec.structs.replace(rehearsal.ports, vaults=Outside(rehearsal.ports.settings))
    refused(rehearsal, rehearsal.agent(), UnreachableError, 7, "127.0.0.1:9")
