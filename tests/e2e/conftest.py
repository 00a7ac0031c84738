"""Fixtures of the end-to-end tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.controlplane.running import Running
from tests.e2e.running import Irkit


@pytest.fixture
def irkit(control_plane: Running, tmp_path: Path) -> Irkit:
    """The administrator at a laptop that never ran irkit before."""
    return Irkit(control_plane.admin_kubeconfig, tmp_path / "home")
