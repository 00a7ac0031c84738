"""The shortcut on an alert finds its pod, asks where there is a choice, and orders evidence once."""

from __future__ import annotations

import json

from tests.slack.alert import BACKEND, alert
from tests.slack.inside import Inside
from tests.slack.people import EVE
from tests.slack.world import said, until


def test_evidence_for_an_alert_is_ordered_in_its_thread(inside: Inside) -> None:
    inside.people.shortcut(alert("falcosidekick.json"))
    order = inside.order().order
    assert (order.command, order.target, order.namespace, order.needs) == ("collect", *BACKEND, "nobody")
    message = inside.live("collect backend-7c7c86686d-7l8d8 -n todo-app")
    assert message["thread_ts"] == "1699999999.000100"
    assert inside.slack.views == []


def test_several_pods_are_a_question(inside: Inside) -> None:
    inside.people.shortcut(alert("two.txt"))
    view = until(lambda: inside.slack.views[:1], 5, lambda: str(inside.lines))[0]
    options = view["blocks"][0]["element"]["options"]
    assert [o["text"]["text"] for o in options] == ["backend-7c7c86686d-7l8d8 in todo-app", "web-0 in shop"]
    assert inside.orders.list() == []
    assert inside.people.submits(view, "1", None).payload == {}
    order = inside.order().order
    assert (order.target, order.namespace) == ("web-0", "shop")
    inside.people.submits(view, "1", None)
    assert len(inside.orders.list()) == 1


def test_a_pod_without_a_namespace_asks_for_one(inside: Inside) -> None:
    message = {"type": "message", "ts": "1699999999.000100", "text": "pod: web-0"}
    inside.people.shortcut(message, channel="C0OPS")
    view = until(lambda: inside.slack.views[:1], 5, lambda: str(inside.lines))[0]
    for typed, why in ((None, "name the namespace"), ("SHOP!", "can't be the name"), ("a/b", "can't be")):
        ack = inside.people.submits(view, "0", typed)
        assert ack.payload["response_action"] == "errors"
        assert why in ack.payload["errors"]["namespace"]
    assert inside.orders.list() == []
    assert inside.people.submits(view, "0", "shop").payload == {}
    assert inside.order().order.namespace == "shop"


def test_a_modal_that_was_made_up_is_judged_like_any_other_wish(inside: Inside) -> None:
    inside.people.shortcut(alert("two.txt"))
    view = until(lambda: inside.slack.views[:1], 5, lambda: str(inside.lines))[0]
    for changed, why in (
        ({"private_metadata": json.dumps({"channel": "C0ELSE", "found": [["web-0", "shop"]]})}, "takes no commands from this channel"),
        ({"private_metadata": "{"}, "takes no commands from this channel"),
        ({"private_metadata": json.dumps({"channel": "C0INC", "found": [["-x", "shop"]]})}, "can't be the name of a Pod"),
        ({"private_metadata": json.dumps({"channel": "C0INC", "found": []})}, "choose one of the pods"),
    ):
        ack = inside.people.submits({**view, **changed, "id": f"V{why}"}, "0", None)
        assert why in ack.payload["errors"]["namespace"]
    assert "not among those" in inside.people.submits(view, "0", None, user=EVE).payload["errors"]["namespace"]
    assert inside.orders.list() == []


def test_a_message_without_a_pod_and_a_person_without_the_right_are_told_so(inside: Inside) -> None:
    inside.people.shortcut({"type": "message", "ts": "1699999999.000100", "text": "lunch?"})
    inside.whisper("irkit finds no pod in that message")
    inside.people.shortcut(alert("falco.txt"), user=EVE)
    inside.whisper("not among those who may ask")
    inside.people.shortcut(alert("falco.txt"), channel="C0BAGS")
    inside.whisper("takes no commands from this channel")
    assert inside.orders.list() == []


def test_the_home_tab_shows_what_is_open(inside: Inside) -> None:
    inside.people.types("collect web-0 -n todo-app")
    inside.order()
    inside.people.opens_home()
    home = until(lambda: inside.slack.homes.get("U0ANN"), 5, lambda: str(inside.lines))
    assert "1 open order" in said(home)
    assert "collect web-0 -n todo-app" in said(home)
    assert "0 open incidents" in said(home)


def test_the_home_tab_of_a_stranger_shows_nothing(inside: Inside) -> None:
    inside.people.types("collect web-0 -n todo-app")
    inside.order()
    inside.people.opens_home(user=EVE)
    home = until(lambda: inside.slack.homes.get(EVE), 5, lambda: str(inside.lines))
    assert "web-0" not in said(home)
    assert "not among those who may ask" in said(home)
    inside.people.opens_home(user="U0ELSE", team="T0EVIL")
    inside.event("home-refused")
    assert "U0ELSE" not in inside.slack.homes
