"""How much of one core a flood takes, and that it leaves no memory behind: the figures of `make bench`, held to their targets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench import webhooks
from irkit.sandbox import Sandbox


@pytest.mark.slow
def test_a_thousand_webhooks_take_less_than_a_second_of_one_core_and_leave_no_memory(tmp_path: Path) -> None:
    """Forged ones are refused, those of one alert are one order, and those of ever new pods fill the queue and are told to come again."""
    with Sandbox("todo-app", home=tmp_path / "box") as box:
        rows = webhooks.rows({**os.environ, **box.environment}, tmp_path)
    assert len(rows) == 6
    assert [row.cells() for row in rows if row.missed or row.target is None] == []
