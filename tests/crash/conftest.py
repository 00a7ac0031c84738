"""Fixtures of the crash tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from tests.crash import app
from tests.crash.app import Calm
from tests.crash.world import Undisturbed, undisturbed


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """A containment that nobody disturbed, to compare with."""
    return undisturbed(tmp_path_factory.mktemp("calm"))


@pytest.fixture(scope="session")
def calmly(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Calm]:
    """By command (rotate, chain): a run of it that nobody disturbed."""
    return cache(lambda command: app.undisturbed(tmp_path_factory.mktemp(command), command))
