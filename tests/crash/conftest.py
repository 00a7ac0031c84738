"""Fixtures of the crash tests."""

from __future__ import annotations

import pytest

from tests.crash.world import Undisturbed, differences, undisturbed


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """A containment that nobody disturbed, to compare with; it was undisturbed twice, and ended the same both times."""
    first, second = (undisturbed(tmp_path_factory.mktemp("calm")) for _ in range(2))
    assert not differences(first.final, second.final)
    assert (first.bag, first.logs) == (second.bag, second.logs)
    return first
