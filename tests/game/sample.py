"""What the slow suite plays of many cases; `make exhaustive` plays the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def sampled(cases: Iterable[Any], *kept: Any) -> list[Any]:
    """All cases, those that are not ``kept`` marked as exhaustive."""
    return [case if case in kept else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.exhaustive) for case in cases]
