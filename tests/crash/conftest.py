"""Fixtures of the crash tests."""

from __future__ import annotations

import pytest

from tests.crash.world import Undisturbed, undisturbed


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """A containment that nobody disturbed, to compare with."""
    return undisturbed(tmp_path_factory.mktemp("calm"))
