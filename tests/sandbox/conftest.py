"""A rehearsal cluster for a test, and a way in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from irkit.sandbox import Sandbox
from tests.contracts.client import Api


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox("todo-app", home=tmp_path) as started:
        yield started


@pytest.fixture
def api(box: Sandbox, tmp_path: Path) -> Api:
    return Api(box.kubeconfig, tmp_path)
