"""What the slow suite runs of many cases; `make exhaustive` runs the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def sampled(cases: Iterable[Any], *kept: Any) -> list[Any]:
    """All cases, those that are not ``kept`` marked as exhaustive."""
    return [case if case in kept else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.exhaustive) for case in cases]


def parts(count: int, often: int) -> list[Any]:
    """The parts into which "at every request" is cut, every ``count``-th request each: ``often`` of them are kept, spread over the run."""
    return sampled(range(count), *(n * count // often for n in range(often)))
