"""Older clusters serve external-secrets.io/v1beta1 only; stores may be the cluster's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from irkit.model.kube import SECRETS, Resource
from irkit.model.outcome import Done
from irkit.sandbox import Sandbox
from irkit.sandbox.controllers import external_secrets as operator
from tests.contracts.vaults import VaultFace
from tests.rotators.conftest import _ports
from tests.rotators.world import World, until

GROUP = "external-secrets.io"
OLD = "old-value-0123456789"


@pytest.fixture(params=["v1", "v1beta1"])
def version(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def older(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    box = Sandbox("empty", home=tmp_path)
    operator.serve(box.store.catalog, version)
    with box:
        vault = VaultFace(box.vault_url, box.vault_token, str(box.vault_ca), box.database.accepts, box.database.create, box.database.drop, {})
        ports = _ports(tmp_path, box.kubeconfig, vault, monkeypatch)
        yield World(ports, vault, "default", vault.mount("kv", "2"))
        ports.cluster.close()  # type: ignore[attr-defined]


def test_a_secret_of_a_cluster_store_is_rotated(older: World, version: str) -> None:
    older.put(KEY=OLD)
    older.create(SECRETS, "vault-token", {"stringData": {"token": older.vault.root}})
    token = {"name": "vault-token", "key": "token", "namespace": "default"}
    provider = {"vault": {"server": older.vault.url, "path": older.kv, "version": "v2", "auth": {"tokenSecretRef": token}}}
    stores = Resource(GROUP, version, "clustersecretstores", "ClusterSecretStore", False)
    older.ports.cluster.create(stores, {"apiVersion": stores.api_version, "kind": stores.kind, "metadata": {"name": "shared"},
                                        "spec": {"provider": provider}})  # fmt: skip
    data = [{"secretKey": "SECRET", "remoteRef": {"key": "prod/app", "property": "KEY"}}]
    spec = {"secretStoreRef": {"name": "shared", "kind": "ClusterSecretStore"}, "refreshInterval": "1h", "data": data}
    older.create(Resource(GROUP, version, "externalsecrets", "ExternalSecret"), "app", {"spec": spec}, **{"irkit.dev/rotation": "generated"})
    until(lambda: older.values("app"), "app is synced")
    credential = older.credential("app")
    assert credential.source.store
    assert (credential.source.store.kind, credential.source.store.resource.version) == ("ClusterSecretStore", version)
    _, renewed, retired = older.rotate(credential)
    assert isinstance(renewed, Done)
    assert isinstance(retired, Done)
    assert retired.data["oldValue"] == "dead"
    assert older.values("app") == {"SECRET": older.entry()["KEY"]}
