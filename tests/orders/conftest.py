"""Fixtures of the tests of orders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from irkit import settings as loading
from irkit.adapters.kubernetes import connect
from irkit.model.kube import NAMESPACES
from irkit.model.order import SYSTEM_NAMESPACE
from irkit.ports import Cluster
from irkit.sandbox import Sandbox
from tests.controlplane.running import Running
from tests.orders.desk import Desk
from tests.orders.desk import desk as at_a_desk


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """With the queue in the cluster."""
    with at_a_desk(tmp_path, monkeypatch.setenv) as found:
        yield found


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """With the queue on this machine."""
    with at_a_desk(tmp_path, monkeypatch.setenv, shared=False) as found:
        yield found


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """The sandbox, with namespace irkit-system and nothing that runs."""
    with Sandbox("empty", home=tmp_path) as box:
        connected = connect(loading.load({"KUBECONFIG": str(box.kubeconfig), "HOME": str(tmp_path)}))
        connected.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}})
        yield connected


@pytest.fixture(scope="module")
def system(control_plane: Running) -> Iterator[Running]:
    """The real control plane, with namespace irkit-system."""
    control_plane.kubectl("create", "namespace", SYSTEM_NAMESPACE)
    yield control_plane
    control_plane.kubectl("delete", "namespace", SYSTEM_NAMESPACE, "--timeout=60s")
