"""An order from the door to its end: planned, approved by somebody who may, carried out once, and on record."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from irkit.app.orders.queue import submit
from irkit.engine import journal
from irkit.model.kube import DEPLOYMENTS, PODS, ObjectRef
from irkit.model.record import Ordered
from tests.components.s3 import Store
from tests.crash.world import WRITES
from tests.e2e.running import dry, review, what
from tests.faults.harm import Delay, Request, before
from tests.orders.desk import BOB, Desk


def written(desk: Desk) -> list[str]:
    """What was changed outside of irkit-system, in order."""
    verbs = ("create", "update", "patch", "delete")
    events = [e for e in desk.box.audit if e["verb"] in verbs and not dry(e) and not review(e) and e["responseStatus"]["code"] < 300]
    own = [e for e in events if e.get("objectRef", {}).get("namespace") != "irkit-system" and e["userAgent"].startswith("irkit/")]
    return [what(e) for e in own if "subjectaccessreviews" not in what(e) and what(e) != "create namespaces"]


def ordered(desk: Desk, incident: str) -> list[Ordered]:
    return [line.body for line in journal.read(desk.home.journal(incident)).lines if isinstance(line.body, Ordered)]


def test_evidence_needs_nobody(desk: Desk):
    held = desk.over(desk.submit("collect"))
    assert (held.status.state, held.status.begun) == ("done", 1)
    assert held.status.ended
    assert held.status.ended.exit_code == 0
    assert len(held.status.ended.manifest) == 64
    assert written(desk) == []


@pytest.mark.parametrize("where", ["desk", "alone"])
def test_a_containment_waits_for_a_decision_and_is_done_once(where: str, request: pytest.FixtureRequest):
    desk: Desk = request.getfixturevalue(where)
    identifier = desk.submit()
    waiting = desk.until(identifier, "waiting")
    assert written(desk) == [], "nothing is changed before somebody decides"
    assert waiting.status.planned
    assert [" ".join(line.split()[:2]) for line in waiting.status.planned.lines] == [
        "create NetworkPolicy", "relabel Pod", "create PodDisruptionBudget", "collect the", "scale Deployment",
    ]  # fmt: skip
    desk.decide(waiting)
    held = desk.over(identifier)
    assert (held.status.state, held.status.begun, held.status.incident) == ("done", 2, waiting.status.incident)
    assert written(desk) == WRITES
    assert desk.home.ids() == [held.status.incident]
    (record,) = ordered(desk, held.status.incident)
    assert (record.order, [d.by for d in record.decisions]) == (held.order, [BOB])


def test_the_decision_is_in_the_bag(desk: Desk):
    identifier = desk.submit()
    desk.decide(desk.until(identifier, "waiting"))
    held = desk.over(identifier)
    assert held.status.ended
    excerpts = list((Path(held.status.ended.bundle) / "data").glob("journal.jsonl*"))
    assert excerpts
    lines = [json.loads(line) for line in excerpts[0].read_text().splitlines()]
    decisions = [d for line in lines for d in line["body"].get("decisions", [])]
    assert [(d["by"]["sender"], d["yes"], d["digest"]) for d in decisions] == [("U2", True, held.status.planned and held.status.planned.digest)]


def test_what_was_declined_is_over(desk: Desk):
    identifier = desk.submit()
    desk.decide(desk.until(identifier, "waiting"), yes=False)
    for _ in range(3):
        desk.turn()
    held = desk.queue.get(identifier)
    assert (held.status.state, held.status.note, held.status.begun) == ("declined", "declined by bob (slack U2)", 1)
    assert written(desk) == []


def test_a_plan_that_grew_is_shown_anew_and_waits_again(desk: Desk):
    """Law 5: between approval and act the pod got a label; the approved plan does not take it off."""
    identifier = desk.submit()
    first = desk.until(identifier, "waiting")
    namespace, name = desk.box.suspect
    desk.ports.cluster.patch(ObjectRef(resource=PODS, name=name, namespace=namespace), {"metadata": {"labels": {"added": "later"}}})
    desk.decide(first)
    second = desk.until(identifier, lambda h: h.status.state == "waiting" and h.status.begun > 2)
    assert written(desk) == ["patch pods"], "the test's own, and nothing of the worker's"
    assert "more is needed than was approved" in second.status.note
    assert first.status.planned
    assert second.status.planned
    assert second.status.planned.digest != first.status.planned.digest
    assert any("-added" in line for line in second.status.planned.lines)
    assert [d.void for d in second.status.decisions] == ["more is needed than was approved"]
    desk.decide(second)
    assert desk.over(identifier).status.state == "done"
    assert len(desk.policies) == 1


def suspect(desk: Desk) -> ObjectRef:
    namespace, name = desk.box.suspect
    return ObjectRef(resource=PODS, name=name, namespace=namespace)


def test_a_plan_that_shrank_needs_no_new_approval(desk: Desk):
    desk.ports.cluster.patch(suspect(desk), {"metadata": {"labels": {"extra": "one"}}})
    identifier = desk.submit()
    waiting = desk.until(identifier, "waiting")
    desk.ports.cluster.patch(ObjectRef(resource=DEPLOYMENTS, name="backend", namespace=desk.box.suspect[0]), {"spec": {"replicas": 0}})
    desk.decide(waiting)
    held = desk.over(identifier)
    assert (held.status.state, held.status.begun) == ("done", 2)


def test_what_can_not_be_planned_fails_with_its_reason(desk: Desk):
    order = msgspec.structs.replace(desk.order(), target="no-such-pod")
    submit(desk.queue, order, desk.ports.clock)
    ended = desk.over(order.id).status.ended
    assert ended
    assert (ended.exit_code, ended.outcome) == (2, "failed")
    assert "no-such-pod" in ended.summary


def test_another_cluster_refuses_it(desk: Desk):
    order = msgspec.structs.replace(desk.order("collect"), cluster="0-0-0")
    submit(desk.queue, order, desk.ports.clock)
    ended = desk.over(order.id).status.ended
    assert ended
    assert (ended.exit_code, ended.outcome) == (8, "failed")
    assert "is for cluster 0-0-0" in ended.summary
    assert desk.home.ids() == []


# where the evidence goes


def test_evidence_that_was_pushed_says_where(desk: Desk, object_store: Store, tmp_path: Path):
    bucket = object_store.bucket()
    desk.configure(store={**object_store.settings(bucket, tmp_path), "push": True})
    ended = desk.over(desk.submit("collect")).status.ended
    assert ended
    (key,) = object_store.objects(bucket)
    assert ended.pushed == f"s3://{bucket}/{key}"
    assert ended.manifest in key


def test_a_store_that_is_down_loses_no_evidence_and_is_said(desk: Desk):
    keys = desk.configured.home.parent / "key"
    keys.write_text("x\n")
    desk.configure(store={"endpoint": "http://127.0.0.1:9", "bucket": "bags", "access-key-file": str(keys), "secret-key-file": str(keys),
                          "timeout": 1, "push": True})  # fmt: skip
    held = desk.over(desk.submit("collect"))
    assert held.status.ended
    assert (held.status.state, held.status.ended.pushed) == ("done", "")
    assert f"bag 1 was not pushed: irkit bundle push {held.status.incident}" in held.status.ended.summary
    assert Path(held.status.ended.bundle).is_dir()


def test_a_plan_that_grows_while_it_is_carried_out_waits_again_and_goes_on(desk: Desk):
    """After the cut somebody scales the workload up: to stop it ends more than was approved."""
    backend, late = ObjectRef(resource=DEPLOYMENTS, name="backend", namespace=desk.box.suspect[0]), [5]

    def meanwhile(request: Request) -> bool:
        if request.path.endswith("/log") and late:
            desk.ports.cluster.patch(backend, {"spec": {"replicas": late.pop()}})
        return False

    desk.proxy.when(meanwhile, before(Delay(0)))
    identifier = desk.submit()
    desk.decide(desk.until(identifier, "waiting"))
    held = desk.until(identifier, lambda h: h.status.state == "waiting" and h.status.begun == 3)
    assert held.status.planned
    assert held.status.planned.lines == ("scale Deployment todo-app/backend 5 → 0; ends 5 pods",), "what was done is not asked about again"
    assert desk.ports.cluster.get(backend)["spec"]["replicas"] == 5
    desk.decide(held)
    held = desk.over(identifier)
    assert (held.status.state, desk.home.ids()) == ("done", [held.status.incident])
    assert desk.ports.cluster.get(backend)["spec"]["replicas"] == 0
    assert written(desk).count("patch deployments/scale") == 1
    assert [len(record.decisions) for record in ordered(desk, held.status.incident)] == [1, 2]
