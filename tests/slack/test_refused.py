"""Who is refused gets one sentence that nobody else sees, and an audit line is left: never an act."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tests.slack.inside import DIGEST, PLAN, Inside
from tests.slack.people import ANN, BOB, EVE
from tests.slack.world import said, until


@pytest.mark.parametrize(("who", "text", "why"), [
    ({"user": EVE}, "collect web-0", f"you ({EVE}) are not among those who may ask irkit; nothing was done"),
    ({"channel": "C0ELSE"}, "collect web-0", "irkit takes no commands from this channel (C0ELSE); nothing was done"),
    ({"channel": "C0OPS"}, "contain web-0", "contain can't be asked for in this channel, only: collect, status; nothing was done"),
    ({"team": "T0EVIL"}, "collect web-0", "workspace T0EVIL is not the one that irkit works for; nothing was done"),
    ({"channel": "C0ELSE"}, "help", "irkit takes no commands from this channel (C0ELSE); nothing was done"),
    ({"user": "<!channel>"}, "collect web-0", "you (<!channel>) are not among those who may ask irkit; nothing was done"),
    ({}, "x" * 40_960, "that is 40960 characters; a command of irkit has at most 1000"),
    ({}, "collect \u202eweb-0 &lt;!here&gt;", "collect takes one name, not '\\u202eweb-0 <!here>'"),
    ({"user": EVE}, "x" * 40_960, f"you ({EVE}) are not among those who may ask irkit; nothing was done"),
])  # fmt: skip
def test_a_command_is_refused_in_its_acknowledgement(inside: Inside, who: dict[str, Any], text: str, why: str) -> None:
    ack = inside.people.types(text, **who)
    assert said(ack.payload).startswith(why + "\nnext: ")
    line = inside.event("command-refused")
    assert (line["why"], line["user"]) == (why, who.get("user", ANN))
    assert inside.orders.list() == []
    assert inside.slack.messages == {}


@pytest.mark.parametrize(("text", "why"), [
    ("collect WEB_0", "'WEB_0' can't be the name of a Pod"),
    ("collect web-0 -n kube-system", "namespace kube-system is protected"),
    ("collect web-0 -n <!channel>", "'!channel' can't be the name"),
    ("contain web-0 -n ../x", "can't be"),
    ("status nothing-like-that", "there is no incident nothing-like-that"),
    ("status bcdfghjkmnpq", "there is no order bcdfghjkmnpq on this machine"),
    ("verify web-0\u200b", "can't be the name of a Pod"),
])  # fmt: skip
def test_what_can_be_no_target_is_told_to_whoever_asked(inside: Inside, text: str, why: str) -> None:
    assert inside.people.types(text).payload == {}
    whisper = inside.whisper(why)
    assert whisper["by"] == "url"
    assert why in inside.event("command-refused")["why"]
    assert inside.orders.list() == []


def test_without_a_namespace_anywhere_it_is_asked_for(inside: Inside) -> None:
    inside.people.types("collect web-0", channel="C0OPS")
    assert "name the namespace: -n NAMESPACE" in said(inside.whisper("namespace"))


@pytest.mark.parametrize(("user", "why"), [
    (EVE, f"you ({EVE}) are not among those who may ask irkit"),
    (ANN, "is in none of the groups that may approve order"),
])  # fmt: skip
def test_a_button_pressed_by_whoever_may_not_changes_nothing(inside: Inside, user: str, why: str) -> None:
    _, message = inside.planned()
    inside.people.presses(message, "irkit-approve", user=user)
    inside.whisper(why)
    assert why in inside.event("interaction-refused")["why"]
    assert inside.order().status.state == "waiting"


def test_a_user_of_another_workspace_in_a_shared_channel_decides_nothing(inside: Inside) -> None:
    _, message = inside.planned()
    payload = inside.people.click(message, "irkit-approve", user=BOB)
    payload["user"]["team_id"] = "T0EVIL"
    inside.slack.deliver("interactive", payload, accepts=False)
    assert "workspace T0EVIL" in inside.event("interaction-refused")["why"]
    assert inside.order().status.decisions == ()


@pytest.mark.parametrize(("value", "why"), [
    ("{id} " + "c" * 64, "has another plan now than the one that was decided upon; nothing was changed"),
    ("{id}", "has another plan now"),
    ("zzzzzzzzzzzz " + DIGEST, "there is no order zzzzzzzzzzzz"),
    ("../../etc/passwd " + DIGEST, "there is no order ../../etc/passwd"),
    ("", "there is no order"),
])  # fmt: skip
def test_a_button_whose_value_is_not_the_plan_that_waits_is_refused(inside: Inside, value: str, why: str) -> None:
    held, message = inside.planned()
    inside.people.presses(message, "irkit-approve", user=BOB, value=value.format(id=held.order.id))
    inside.whisper(why)
    assert inside.order().status.decisions == ()


def test_a_button_in_another_message_than_the_one_that_irkit_shows_is_refused(inside: Inside) -> None:
    _, message = inside.planned()
    for changed in ({"ts": "1700000000.999999"}, {"channel": "C0OPS"}):
        inside.slack.whispers.clear()
        inside.people.presses({**message, **changed}, "irkit-approve", user=BOB)
        inside.whisper("that message is not the one that irkit shows order")
    assert inside.order().status.decisions == ()


def test_what_the_message_says_is_never_believed(inside: Inside) -> None:
    _, message = inside.planned()
    payload = inside.people.click(message, "irkit-approve", user=EVE)
    payload["message"] |= {"text": f"approved by <@{BOB}>", "user": BOB, "metadata": {"event_payload": {"user": BOB}}}
    payload["user"]["name"] = payload["user"]["username"] = "bob"
    inside.slack.deliver("interactive", payload, accepts=False)
    inside.whisper("not among those who may ask")
    assert inside.order().status.state == "waiting"


def test_whoever_asked_cannot_be_the_second_person(inside: Inside) -> None:
    _, message = inside.planned(needs="two", user=BOB)
    inside.people.presses(message, "irkit-approve", user=BOB)
    inside.whisper("needs a second person: bob (slack U0BOB) asked for it, and can't approve it")
    assert inside.order().status.state == "waiting"


def test_a_plan_that_expired_is_not_approved(inside: Inside) -> None:
    held, message = inside.planned()
    inside.rewrite(expires=(inside.clock.now() - timedelta(seconds=1)).isoformat())
    inside.people.presses(message, "irkit-approve", user=BOB)
    inside.whisper(f"order {held.order.id} expired at")
    assert inside.order().status.decisions == ()


def test_a_second_decision_finds_that_there_is_one(inside: Inside) -> None:
    _, message = inside.planned()
    late = inside.people.click(message, "irkit-approve", user=BOB)
    inside.people.presses(message, "irkit-decline", user=BOB)
    until(lambda: inside.order().status.state == "declined", 5, lambda: "not declined")
    inside.live("was declined; nothing was changed")
    assert f"declined by <@{BOB}>" in said(message)
    inside.slack.deliver("interactive", late, accepts=False)
    inside.whisper("does not wait for a decision: it is declined (declined by bob (slack U0BOB)")
    assert [d.yes for d in inside.order().status.decisions] == [False]


def test_broken_payloads_leave_an_audit_line_and_nothing_else(inside: Inside) -> None:
    for kind, payload in (
        ("slash_commands", {}), ("slash_commands", {"text": ["x"]}), ("interactive", {"type": "block_actions", "actions": "x"}), ("interactive", {}),
        ("events_api", {"event": None}), ("events_api", {"event": {"type": "message"}}), ("what", {}), ("interactive", {"type": "view_submission"}),
    ):  # fmt: skip
        inside.slack.deliver(kind, payload, accepts=kind == "slash_commands")
    until(lambda: len(inside.lines) >= 7, 5, lambda: str(inside.lines))
    assert {line["event"] for line in inside.lines} - {"slack-connected"} <= {
        "slack-unreadable", "slack-unknown", "command-refused", "interaction-refused", "home-refused", "not-answered",
    }  # fmt: skip
    assert inside.orders.list() == []


def test_nothing_is_allowed_that_is_not_written_down() -> None:
    from irkit.errors import RefusedError
    from irkit.listeners.slack import people
    from irkit.settings.slack import SlackSettings

    asker = people.Asker("U0ANN", "ann", "T0TEAM", "C0INC")
    for settings in (SlackSettings(), SlackSettings(team="T0TEAM"), SlackSettings(team="T0TEAM", users={"U0ANN": ()})):
        with pytest.raises(RefusedError):
            people.allowed(asker, "status", settings)
    with pytest.raises(RefusedError):
        people.known(asker._replace(team=""), SlackSettings(users={"U0ANN": ()}))


def test_an_order_that_changed_since_is_shown_anew_with_its_new_plan(inside: Inside) -> None:
    held, message = inside.planned()
    old = inside.people.click(message, "irkit-approve", user=BOB)
    inside.becomes(held, state="waiting", planned=msgspec.structs.replace(PLAN, digest="c" * 64, lines=("delete everything",)))
    inside.live("delete everything")
    inside.slack.deliver("interactive", old, accepts=False)
    inside.whisper("has another plan now")
    inside.people.presses(message, "irkit-approve", user=BOB)
    until(lambda: inside.order().status.state == "queued", 5, lambda: str(inside.order()))
