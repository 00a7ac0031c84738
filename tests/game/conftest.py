"""Fixtures of the games."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.controlplane.running import Running
from tests.e2e.running import Irkit
from tests.game.staging import games_of
from tests.game.table import Terminal


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


@pytest.fixture
def room() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="irkit-t-") as home:
        yield Path(home)


@pytest.fixture
def terminal(room: Path) -> Iterator[Callable[..., Terminal]]:
    made: list[Terminal] = []

    def start(*words: str) -> Terminal:
        made.append(Terminal(room, *words))
        return made[-1]

    yield start
    for one in made:
        one.close()
