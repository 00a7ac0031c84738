"""Last of the suite: the table of tolerated differences holds nothing that no test needs."""

from __future__ import annotations

import pytest

from tests.contracts.differences import TOLERATED, used


def test_every_tolerated_difference_is_used(request: pytest.FixtureRequest) -> None:
    run = {item.fspath.basename for item in request.session.items if "contracts" in str(item.fspath)}
    if not {"test_reads.py", "test_writes.py", "test_workloads.py", "test_logs.py"} <= run or request.config.option.keyword:
        return  # a part of the suite can't tell
    assert set(TOLERATED) == used
