"""The shortcut on an alert finds its pod, asks where there is a choice, and orders evidence once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.listeners.slack import alerts
from irkit.listeners.slack.alerts import Candidate
from tests.slack.inside import Inside
from tests.slack.people import EVE
from tests.slack.world import said, until

DATA = Path(__file__).parent / "data"
BACKEND = Candidate("backend-7c7c86686d-7l8d8", "todo-app")


def alert(name: str) -> dict[str, Any]:
    """A message in a channel, as that tool writes it."""
    text = (DATA / name).read_text()
    found: dict[str, Any] = json.loads(text) if name.endswith(".json") else {"text": text}
    return {"type": "message", "ts": "1699999999.000100", "bot_id": "B0ALERT", **found}


@pytest.mark.parametrize("name", sorted(p.name for p in DATA.iterdir() if p.name != "two.txt"))
def test_the_pod_of_an_alert_is_found(name: str) -> None:
    assert alerts.find(alert(name)) == [BACKEND]


@pytest.mark.parametrize(("text", "found"), [
    ("nothing of that kind", []),
    ("k8s.pod=<NA> k8s.ns=<NA>", []),
    ("k8s.pod=&lt;NA&gt; k8s.ns=&lt;NA&gt;", []),
    ("the pod is in the namespace", []),
    ('{"output_fields": {"k8s.ns.name": "shop", "k8s.pod.name": "web-0"}}', [Candidate("web-0", "shop")]),
    ("Pod: shop/web-0", [Candidate("web-0", "shop")]),
    ("pod: web-0", [Candidate("web-0", "")]),
    ("pod=web-0 namespace=shop pod=web-1", [Candidate("web-0", "shop"), Candidate("web-1", "shop")]),
    ("pod: WEB-0", []),
    ("pod: web-0/../../x", []),
    ("podinfo: web-0", []),
])  # fmt: skip
def test_what_a_text_names(text: str, found: list[Candidate]) -> None:
    assert alerts.find({"text": text}) == found


@given(st.dictionaries(st.sampled_from(["text", "attachments", "blocks"]), st.recursive(
    st.none() | st.text(max_size=40) | st.integers(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["text", "fields", "title", "value", "fallback"]), inner, max_size=4), max_leaves=12)))  # fmt: skip
def test_any_message_is_looked_through(message: dict[str, Any]) -> None:
    for pod, namespace in alerts.find(message):
        assert pod == pod.lower()
        assert "/" not in pod + namespace


def test_a_long_message_is_looked_through_in_no_time(inside: Inside) -> None:
    for text in ("pod:" * 10_000, "pod=" + "a-" * 20_000, " " * 40_000 + "|", "pods " * 8_000, "namespace " * 4_000, "•" * 40_000):
        began = inside.clock.monotonic()
        alerts.find({"text": text})
        assert inside.clock.monotonic() - began < 2.0


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
