"""What an order did is seen from the command line, and an incident of the command line by whoever answers a chat."""

from __future__ import annotations

import msgspec

from irkit.app import incidents
from irkit.app import lift as lifting
from irkit.app.respond import Request, respond
from irkit.engine import signing
from tests.orders.desk import desk


def test_an_orders_incident_is_seen_and_lifted_from_a_laptop(tmp_path, monkeypatch):
    with desk(tmp_path, monkeypatch.setenv) as d:
        signing.create(d.ports.cluster)
        order = d.submit("contain")
        held = d.until(order, "waiting")
        (waiting,) = incidents.shared(d.ports.cluster, d.queue)
        assert (waiting["id"], waiting["status"]) == (held.status.incident, f"waiting (order {order})")
        assert incidents.shared(d.ports.cluster) == [], "it is promised, and does not exist yet"
        d.decide(held)
        over = d.over(order)
        (found,) = incidents.shared(d.ports.cluster, d.queue)
        assert (found["id"], found["where"], found["status"]) == (over.status.incident, "cluster", "contained")
        laptop = msgspec.structs.replace(d.ports, settings=msgspec.structs.replace(d.ports.settings, home=tmp_path / "laptop"))
        shown = incidents.show(laptop.settings, over.status.incident, laptop.cluster)
        assert any(line["text"].startswith("ordered by ann (slack U1): ") for line in shown["timeline"])
        assert lifting.lift(laptop, over.status.incident, "keep").exit_code == 0
        assert incidents.shared(d.ports.cluster, d.queue) == []
        assert [i["id"] for i in incidents.shared(d.ports.cluster, d.queue, over=True)] == [over.status.incident]


def test_an_order_for_evidence_leaves_a_copy_though_it_holds_nothing(tmp_path, monkeypatch):
    with desk(tmp_path, monkeypatch.setenv) as d:
        signing.create(d.ports.cluster)
        over = d.over(d.submit("collect"))
        (found,) = incidents.shared(d.ports.cluster, d.queue)
        assert (found["id"], found["bags"]) == (over.status.incident, 1)


def test_what_a_laptop_contained_is_seen_by_whoever_answers_a_chat(tmp_path, monkeypatch):
    with desk(tmp_path, monkeypatch.setenv) as d:
        namespace, pod = d.box.suspect
        laptop = msgspec.structs.replace(d.ports, settings=msgspec.structs.replace(d.ports.settings, home=tmp_path / "laptop"))
        done = respond(laptop, Request(command="contain", playbook="compromised-pod", phase="containment", target=pod, namespace=namespace))
        assert [(i["id"], i["where"]) for i in incidents.shared(d.ports.cluster, d.queue)] == [(done.incident, "cluster")]
