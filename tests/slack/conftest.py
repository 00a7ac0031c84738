"""Fixtures: a Slack that must have nothing to complain of in the end, and irkit's listener at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slack.inside import Inside
from tests.slack.server import Server, strict
from tests.slack.world import World


@pytest.fixture
def slack() -> Iterator[Server]:
    with strict() as server:
        yield server


@pytest.fixture
def inside(slack: Server, tmp_path: Path) -> Iterator[Inside]:
    """The listener in this process, with a queue and nobody who carries orders out."""
    with Inside(slack, tmp_path) as made:
        yield made


@pytest.fixture
def world(slack: Server, tmp_path: Path) -> Iterator[World]:
    """A cluster, and `irkit slack` as processes of their own."""
    with World(tmp_path, slack) as made:
        yield made
