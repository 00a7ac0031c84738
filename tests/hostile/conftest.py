"""Fixtures of the hostile tests."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from irkit.sandbox import Sandbox
from tests.hostile.world import Laptop, World


@pytest.fixture(autouse=True)
def _connections_of_this_process() -> Iterator[None]:
    """What irkit leaves to the end of its process is let go of here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A cluster of the test's own, to do harm in."""
    with Sandbox(home=tmp_path / "box") as box:
        yield World(box, Laptop(box.kubeconfig, tmp_path / "home"))


@pytest.fixture(scope="session")
def quiet_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One for tests that change nothing in it."""
    with Sandbox(home=tmp_path_factory.mktemp("quiet")) as box:
        yield box


@pytest.fixture
def quiet(quiet_box: Sandbox, tmp_path: Path) -> World:
    """A laptop that never ran irkit, at a cluster that stays as it is."""
    return World(quiet_box, Laptop(quiet_box.kubeconfig, tmp_path / "home"))
