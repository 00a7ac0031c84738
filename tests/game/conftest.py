"""Fixtures of the games."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.running import Running
from tests.e2e.running import Irkit
from tests.game.staging import games_of


@pytest.fixture
def irkit(control_plane: Running, tmp_path: Path) -> Irkit:
    return Irkit(control_plane.admin_kubeconfig, tmp_path / "home")


@pytest.fixture
def left_alone(control_plane: Running) -> Iterator[None]:
    """Nothing of a game is there after the test."""
    yield
    until = time.monotonic() + 60
    while (left := games_of(control_plane)) and time.monotonic() < until:
        time.sleep(0.2)
    assert left == []
