"""Fixtures: ``world`` is the rehearsal cluster and the real one, ``rehearsal`` only the first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from irkit import settings, wiring
from irkit.adapters.clock import SystemClock
from irkit.adapters.kubernetes import connect
from irkit.adapters.outside import Outside
from irkit.ports import Ports
from irkit.sandbox import Sandbox
from irkit.sandbox.controllers import external_secrets as operator
from irkit.settings.rotation import RotationSettings, VaultSettings
from tests.contracts.vaults import VaultFace
from tests.engine.harness import Script, Told
from tests.rotators.world import World, build, remove

if TYPE_CHECKING:
    from tests.components.openbao import OpenBao
    from tests.controlplane.running import Running


def _ports(home: Path, kubeconfig: Path, vault: VaultFace, monkeypatch: pytest.MonkeyPatch) -> Ports:
    monkeypatch.setenv("VAULT_TOKEN", vault.root)
    loaded = settings.load({"XDG_CONFIG_HOME": str(home)}, home=str(home / "irkit"), kubeconfig=str(kubeconfig))
    where = VaultSettings(address=vault.url, ca_cert=Path(vault.ca) if vault.ca else None)
    configured = msgspec.structs.replace(loaded, vault=where, rotation=RotationSettings(sync_timeout=10))
    cluster = connect(configured, {})
    return Ports(cluster=cluster, connection=cluster, clock=SystemClock(), approver=Script(), notifier=Told(), settings=configured,
                 evidence=wiring.evidence(configured), vaults=Outside(configured))  # fmt: skip


@pytest.fixture(scope="session")
def _sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, VaultFace]]:
    box = Sandbox("empty", home=tmp_path_factory.mktemp("box"))
    operator.serve(box.store.catalog)
    with box:
        yield (
            box.kubeconfig,
            VaultFace(box.vault_url, box.vault_token, str(box.vault_ca), box.database.accepts, box.database.create, box.database.drop, {}),
        )
        assert not box.problems


@pytest.fixture(scope="session")
def _real(control_plane: Running, external_secrets: Path, openbao: OpenBao) -> tuple[Path, VaultFace]:
    nobody, nothing = lambda role, password: False, lambda *login: None
    return control_plane.token_kubeconfig, VaultFace(openbao.address, openbao.token, None, nobody, nothing, nothing, {})


def _world(request: pytest.FixtureRequest, which: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    kubeconfig, vault = request.getfixturevalue(which)
    ports = _ports(home, kubeconfig, vault, monkeypatch)
    made = build(ports, vault)
    yield made
    remove(made)
    ports.cluster.close()  # type: ignore[attr-defined]


@pytest.fixture
def rehearsal(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    yield from _world(request, "_sandbox", tmp_path, monkeypatch)


@pytest.fixture(params=["_sandbox", pytest.param("_real", marks=pytest.mark.controlplane)], ids=["sandbox", "real"])
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    yield from _world(request, request.param, tmp_path, monkeypatch)
