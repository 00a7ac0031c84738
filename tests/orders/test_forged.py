"""Orders that a listener which was taken over writes: the worker holds each to its own settings and playbooks."""

from __future__ import annotations

import msgspec

from irkit.app.orders.queue import checked, submit
from irkit.model.order import Decision
from tests.orders.desk import ANN, Desk
from tests.orders.test_flow import written
from tests.orders.words import order


def test_a_listener_that_was_taken_over_cannot_name_who_may_approve(desk: Desk):
    """It writes orders; the worker's settings say whose word counts."""
    identifier = desk.submit(approvers=("oncall",))
    held = desk.until(identifier, "waiting")
    assert held.status.planned
    status = msgspec.structs.replace(
        held.status, state="queued", decisions=(Decision(by=ANN, yes=True, at="2026-11-22T03:00:00Z", digest=held.status.planned.digest),)
    )
    desk.queue.update(held, status)
    held = desk.until(identifier, lambda h: h.status.state == "waiting" and h.status.begun == 3)
    assert "the settings name no group that may approve" in held.status.note
    assert written(desk) == []


def test_a_listener_that_was_taken_over_cannot_name_how_many_people_it_takes(desk: Desk):
    """The playbook says two; an order that says one, or nobody, is held to the playbook."""
    for needs in ("one", "nobody"):
        asked = order(needs, needs=needs, by=ANN, target="x", playbook="vulnerable-image", command="respond", namespace="todo-app")
        assert checked(asked, desk.ports.settings).needs == "two"


def test_evidence_is_collected_by_no_playbook_that_does_more(desk: Desk):
    asked = desk.order("collect")
    forged = msgspec.structs.replace(asked, playbook="compromised-pod")
    held, _ = submit(desk.queue, forged, desk.ports.clock)
    ended = desk.over(held.order.id).status
    assert (ended.state, ended.ended and ended.ended.exit_code) == ("failed", 8)
    assert ended.ended
    assert "compromised-pod is more than evidence" in ended.ended.summary
    assert written(desk) == []


def test_a_protected_namespace_is_refused_by_the_worker_too(desk: Desk):
    forged = msgspec.structs.replace(desk.order("collect"), namespace="kube-system", id="bcdfghjkmnpq")
    held, _ = submit(desk.queue, forged, desk.ports.clock)
    ended = desk.over(held.order.id).status
    assert (ended.state, ended.ended and ended.ended.exit_code) == ("failed", 8)
