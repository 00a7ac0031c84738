"""The Todo app on the real node, and irkit as a user runs it there."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.running import Running
from tests.e2e.running import Irkit
from tests.node.app import Todo, busybox, listening, manifests


@pytest.fixture
def irkit(real_node: Running, tmp_path: Path) -> Irkit:
    """The administrator of the real node's cluster at a laptop that never ran irkit before."""
    return Irkit(real_node.admin_kubeconfig, tmp_path / "home")


@pytest.fixture(scope="module")
def todo(real_node: Running) -> Iterator[Todo]:
    """The Todo app; tests leave it as they found it."""
    namespace = f"todo-{secrets.token_hex(3)}"
    elsewhere = f"{namespace}-elsewhere"
    for name in (namespace, elsewhere):
        real_node.kubectl("create", "namespace", name)
        real_node.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=20s")
    try:
        listener = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "listener"}, "spec": busybox("listener", listening(443))}
        real_node.apply(listener, namespace=elsewhere)
        real_node.apply(*manifests(namespace))
        real_node.pods(namespace, count=8, seconds=60)
        yield Todo(real_node, namespace, real_node.pods(elsewhere, count=1)[0]["status"]["podIP"])
    finally:
        real_node.kubectl("delete", "namespace", namespace, elsewhere, "--wait=false")
