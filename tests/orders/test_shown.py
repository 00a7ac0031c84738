"""What is carried out is what was shown, and what is said of it is so."""

from __future__ import annotations

import msgspec
import pytest

from irkit.app.orders.approving import approve
from irkit.errors import RefusedError
from tests.orders.desk import Desk


def test_the_plan_that_was_shown_is_the_one_that_is_approved(desk: Desk):
    """Planned anew between the look at it and the question: that other plan nobody has seen."""
    identifier = desk.submit()
    shown = desk.until(identifier, "waiting")
    planned = shown.status.planned
    assert planned
    desk.queue.update(shown, msgspec.structs.replace(shown.status, planned=msgspec.structs.replace(planned, digest="e" * 64)))
    with pytest.raises(RefusedError, match="has another plan now than the one that was decided upon"):
        approve(desk.ports, desk.queue, shown, yes=True)
    assert desk.queue.get(identifier).status.state == "waiting"
