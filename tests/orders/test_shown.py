"""What is carried out is what was shown, and what is said of it is so."""

from __future__ import annotations

import msgspec
import pytest

from irkit.app.orders.approving import approve
from irkit.app.orders.telling import planned
from irkit.engine import journal
from irkit.engine.events import Planned
from irkit.engine.header import Header
from irkit.errors import RefusedError
from irkit.model.changes import Delete
from irkit.model.kube import NETWORKPOLICIES, PODS, ObjectRef
from irkit.model.plan import Plan, PlannedStep
from irkit.model.record import Extended
from tests.orders.desk import Desk
from tests.orders.test_flow import written
from tests.orders.words import order


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


def test_an_order_for_more_than_the_open_incident_had_is_carried_out_not_just_said_to_be(desk: Desk):
    """The pod was contained before; now somebody orders the whole playbook, and two approve the rest of it."""
    first = desk.submit(key="contain")
    desk.decide(desk.until(first, "waiting"))
    incident = desk.over(first).status.incident
    done = len(written(desk))
    second = desk.submit("respond", key="the rest", playbook="compromised-pod")
    held = desk.until(second, "waiting")
    assert held.status.incident == incident
    assert held.status.planned
    assert any(line.startswith("rotate Secret todo-app/mcp-secret") for line in held.status.planned.lines)
    desk.decide(held)
    desk.over(second)
    assert "patch secrets" in written(desk)[done:]
    assert desk.home.ids() == [incident]
    bodies = [line.body for line in journal.read(desk.home.journal(incident)).lines]
    assert [b.phase for b in bodies if isinstance(b, Extended)] == [""]


def test_a_long_plan_says_how_to_see_all_of_it():
    changes = tuple(Delete(ref=ObjectRef(resource=PODS, name=f"p{n}", namespace="shop", uid=f"{n}"), why="x") for n in range(60))
    step = PlannedStep(id="s", step="x", phase="containment", changes=changes, confirm="ask")
    header = Header(None, "", (), tuple(f"note {n}" for n in range(12)))  # type: ignore[arg-type]
    found = planned(Planned(header, Plan(steps=(step,)), True), order(phase="containment"))
    assert (len(found.lines), len(found.warnings), len(found.intents)) == (40, 10, 60)
    assert found.lines[-1] == "and 21 more: irkit contain web -n shop --dry-run"
    assert found.warnings[-1] == "and 3 more: irkit contain web -n shop --dry-run"


def test_an_incident_that_somebody_wrote_into_the_queue_is_not_gone_on_with(desk: Desk):
    """Its approvals are on record, and its id names a directory, objects and a signed copy."""
    first = desk.submit(key="contain")
    desk.decide(desk.until(first, "waiting"))
    incident = desk.over(first).status.incident
    before, done = desk.home.journal(incident).read_bytes(), len(written(desk))
    second = desk.submit("collect", key="evidence")
    held = desk.queue.get(second)
    desk.queue.update(held, msgspec.structs.replace(held.status, incident=incident))
    held = desk.over(second)
    assert held.status.ended
    assert held.status.ended.artefacts
    assert held.status.incident != incident
    assert desk.home.journal(incident).read_bytes() == before
    assert len(written(desk)) == done


def test_without_a_plan_nothing_is_done_that_was_approved_for_another_order(desk: Desk):
    """The incident that the order joins has approvals on record; somebody wrote into the queue that the order may begin."""
    first = desk.submit(key="contain")
    desk.decide(desk.until(first, "waiting"))
    desk.over(first)
    (policy,) = desk.policies
    desk.ports.cluster.delete(ObjectRef(resource=NETWORKPOLICIES, name=policy, namespace=desk.box.suspect[0]))
    done = len(written(desk))
    second = desk.submit(key="again")
    held = desk.queue.get(second)
    desk.queue.update(held, msgspec.structs.replace(held.status, state="queued"))
    desk.until(second, "waiting")
    assert written(desk)[done:] == []
    assert desk.policies == []
