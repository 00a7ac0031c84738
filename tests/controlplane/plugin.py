"""pytest fixtures: one control plane a test run, one namespace a test, one real node a machine."""

from __future__ import annotations

import contextlib
import fcntl
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.controlplane import binaries, node, place
from tests.controlplane.controllers import controlling
from tests.controlplane.running import Running, User, running


def built(name: str) -> Path:
    """A program of the test cluster; without it the test is skipped."""
    try:
        return binaries.find(name)
    except binaries.NotBuilt as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def control_plane() -> Iterator[Running]:
    """A real control plane with three simulated nodes."""
    built("kwok"), built("kube-apiserver")
    with running(nodes=3) as plane:
        yield plane


@contextlib.contextmanager
def fresh_namespace(plane: Running, test: str) -> Iterator[str]:
    """A namespace with this in its name, for the time of a block."""
    name = f"t-{re.sub('[^a-z0-9]+', '-', test.lower())[:40].strip('-')}-{secrets.token_hex(3)}"
    plane.kubectl("create", "namespace", name)
    plane.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=20s")  # no pod can be made before
    yield name
    plane.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def namespace(control_plane: Running, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own on the simulated nodes, deleted after it."""
    with fresh_namespace(control_plane, request.node.name) as name:
        yield name


@pytest.fixture
def user(control_plane: Running) -> Callable[..., User]:
    """``user(manifests)``: somebody bound to the Roles and ClusterRoles among the manifests, and to nothing else."""
    return control_plane.user


def _controller(plane: Running, name: str) -> Iterator[Path]:
    built(name)
    with controlling(plane.home, name) as log:
        yield log


@pytest.fixture(scope="session")
def external_secrets(control_plane: Running) -> Iterator[Path]:
    """External Secrets Operator on the control plane, with 20 workers. Gives the path of its log."""
    yield from _controller(control_plane, "external-secrets")


@pytest.fixture(scope="session")
def cert_manager(control_plane: Running) -> Iterator[Path]:
    """cert-manager on the control plane. Gives the path of its log."""
    yield from _controller(control_plane, "cert-manager")


@pytest.fixture(scope="session")
def real_node(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A control plane of its own with one real node: containers, packets, policies that are enforced (open connections kept).

    Parametrized indirectly with ``cut`` or ``none``, the node is started anew with that policy for these tests.
    """
    try:
        node.check()
    except (node.Missing, binaries.NotBuilt) as missing:
        pytest.skip(str(missing))
    with one_at_a_time(), running(nodes=0) as plane, node.running(plane.home, getattr(request, "param", "keep")):
        yield Running(plane.home, (place.NAME,))


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that want a node are slow, each: there can be one node a machine, for which fast tests would wait until the slow ones are over.

    Those that want one of another policy come last, so that it is started once for all the others.
    """
    for item in items:
        if item.get_closest_marker("node"):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: "real_node" in getattr(getattr(item, "callspec", None), "params", {}))


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """There can be one node a machine: wait for other test runs."""
    with Path(tempfile.gettempdir(), "irkit-node.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def node_namespace(real_node: Running, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own on the real node, deleted after it."""
    with fresh_namespace(real_node, request.node.name) as name:
        yield name
