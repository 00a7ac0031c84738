"""Each event acts once, however often and wherever Slack sends it; pauses, ends of connections and revoked tokens lose nothing."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from irkit.app.orders import queue
from irkit.errors import ForbiddenError, UsageError
from irkit.model.order import Ended, Origin
from tests.slack.inside import PLAN, Inside
from tests.slack.people import BOB
from tests.slack.server import ACK, Server
from tests.slack.world import said, until


def test_the_same_event_in_another_envelope_makes_one_order(inside: Inside) -> None:
    payload = inside.people.slash("collect web-0")
    for attempt in range(4):
        inside.slack.deliver("slash_commands", payload, attempt=attempt)
    inside.order()
    assert [line["attempt"] for line in inside.lines if line["event"] == "slack-again"] == [1, 2, 3]


def test_two_listeners_on_one_queue_make_one_order_of_one_event(slack: Server, tmp_path: Path) -> None:
    with Inside(slack, tmp_path) as one, Inside(slack, tmp_path) as other:
        payload = one.people.slash("collect web-0")
        ends = slack.connections(2)
        threads = [threading.Thread(target=slack.deliver, args=("slash_commands", payload), kwargs={"to": n}) for n in ends * 5]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: len([x for x in one.lines + other.lines if x["event"].startswith("ordered")]) == 2, 5, lambda: str(one.lines + other.lines))
        assert len(one.orders.list()) == 1
        assert len([x for x in one.lines + other.lines if x["event"] == "ordered"]) == 1


def test_two_commands_of_the_same_words_are_two_orders(inside: Inside) -> None:
    inside.people.types("collect web-0")
    inside.people.types("collect web-0")
    until(lambda: len(inside.orders.list()) == 2, 5, lambda: str(inside.lines))


def test_a_decision_that_is_delivered_twice_counts_once_and_refuses_nobody(slack: Server, tmp_path: Path) -> None:
    with Inside(slack, tmp_path) as one, Inside(slack, tmp_path) as other:
        # of two listeners that both tell only one leads; here the other one is not told of any order
        other._over.set()
        other._turns.join(5)
        _, message = one.planned()
        payload = one.people.click(message, "irkit-approve", user=BOB)
        for end in slack.connections(2):
            slack.deliver("interactive", payload, accepts=False, to=end)
        until(lambda: one.order().status.state == "queued", 5, lambda: str(one.order()))
        time.sleep(0.3)
        assert len(one.order().status.decisions) == 1
        assert slack.whispers == []


@pytest.mark.parametrize("way", ["refresh", "cut"])
def test_a_connection_that_ends_is_made_again_and_nothing_is_asked_twice(inside: Inside, way: str) -> None:
    before = inside.slack.connections(1)
    getattr(inside.slack, way)()
    after = until(lambda: [n for n, s in inside.slack._sockets.items() if s.open and n not in before], 10, lambda: "no new one")
    inside.slack.connections(1)
    assert inside.slack.deliver("slash_commands", inside.people.slash("collect web-0"), to=after[0]).seconds < 3.0
    inside.order()


def test_an_event_whose_acknowledgement_was_lost_acts_once(inside: Inside) -> None:
    payload = inside.people.slash("collect web-0")
    threading.Timer(0.02, inside.slack.cut).start()
    with suppress(AssertionError, OSError):  # as long as it lasts
        for _ in range(200):
            inside.slack.deliver("slash_commands", payload)
    inside.slack.connections(1)
    until(lambda: [n for n, s in inside.slack._sockets.items() if s.open], 10, lambda: "not connected")
    inside.slack.deliver("slash_commands", payload, attempt=1)
    inside.order()


def test_what_is_acknowledged_is_in_the_queue_already(inside: Inside) -> None:
    """Killed the moment after, nothing is lost."""
    for number in range(10):
        inside.slack.deliver("slash_commands", inside.people.slash(f"collect web-{number}"))
        assert len(inside.orders.list()) == number + 1


def test_a_decision_that_is_acknowledged_is_in_the_queue_already(inside: Inside) -> None:
    held, message = inside.planned()
    inside.people.presses(message, "irkit-approve", user=BOB)
    assert inside.orders.get(held.order.id).status.state == "queued"


def test_a_queue_that_takes_its_time_does_not_make_the_acknowledgement_late(inside: Inside) -> None:
    with inside.orders._locked():
        acks = [inside.slack.deliver("slash_commands", inside.people.slash(f"collect web-{number}")) for number in range(3)]
    assert max(ack.seconds for ack in acks) < ACK
    until(lambda: len(inside.orders.list()) == 3, 10, lambda: "not ordered")


def test_slack_wants_a_pause_and_gets_it(inside: Inside) -> None:
    inside.slack.throttle("chat.postMessage", 1, 2.0)
    inside.slack.throttle("chat.update", 1, 1.0)
    sent = time.monotonic()
    held, _message = inside.planned()
    assert time.monotonic() - sent > 1.9
    inside.becomes(held, state="declined", note="")
    inside.live("was declined")
    assert [line["seconds"] for line in inside.lines if line["event"] == "slack-pause"] == [2.0, 1.0]


def test_a_message_is_edited_at_most_once_a_second_and_ends_with_the_last_state(inside: Inside) -> None:
    inside.people.types("collect web-0")
    held = inside.order()
    began = time.monotonic()
    for number in range(25):
        inside.becomes(held, state="running", note=f"collecting: {number} of 25 pods")
        time.sleep(0.1)
    inside.becomes(held, state="done", note="", ended=Ended(outcome="done", exit_code=0, summary="all of it"))
    message = inside.live("all of it")
    assert message["edits"] <= time.monotonic() - began + 1
    assert len(inside.slack.messages) == 2


def test_slack_is_out_while_an_order_is_carried_out_and_learns_of_it_later(inside: Inside) -> None:
    inside.people.types("collect web-0")
    held = inside.order()
    inside.live("order")
    inside.slack.down = True
    inside.slack.cut()
    inside.becomes(held, state="done", note="", ended=Ended(outcome="done", exit_code=0, summary="all of it"))
    inside.event("not-told")
    inside.event("slack-not-connected")
    inside.slack.down = False
    inside.live("all of it", 20)
    inside.slack.connections(1)


def test_a_restart_goes_on_with_the_same_message(slack: Server, tmp_path: Path) -> None:
    with Inside(slack, tmp_path) as one:
        held, message = one.planned()
    with Inside(slack, tmp_path) as other:
        time.sleep(1.2)
        calls = len(slack.calls)
        other.becomes(held, state="declined", note="")
        other.live("was declined")
        assert "was declined" in said(message)
        assert [method for _, method in slack.calls[calls:]] == ["chat.update"]
    assert len(slack.messages) == 2


def test_a_message_that_somebody_removed_is_posted_anew(inside: Inside) -> None:
    held, message = inside.planned()
    del inside.slack.messages[message["channel"], message["ts"]]
    inside.becomes(held, state="waiting", planned=msgspec.structs.replace(PLAN, digest="c" * 64))
    found = inside.live("waits for approval")
    assert found["ts"] != message["ts"]
    until(lambda: found["ts"] in inside.order().status.message, 5, lambda: "the queue does not know the message")
    inside.people.presses(found, "irkit-approve", user=BOB)
    until(lambda: inside.order().status.state == "queued", 5, lambda: str(inside.lines))


def test_a_message_that_may_not_be_edited_any_more_is_followed_by_another_one(inside: Inside) -> None:
    held, message = inside.planned()
    inside.slack.messages[message["channel"], message["ts"]]["closed"] = True
    inside.becomes(held, state="running", note="step cut-network")
    time.sleep(1.2)
    assert len(inside.slack.messages) == 2
    inside.becomes(held, state="declined", note="")
    assert inside.live("was declined")["thread_ts"] == message["thread_ts"]
    assert len(inside.slack.messages) == 3


def test_what_is_told_is_looked_at_no_more(inside: Inside) -> None:
    held, _message = inside.planned()
    inside.becomes(held, state="declined", note="")
    inside.live("was declined")
    time.sleep(1.5)
    calls = len(inside.slack.calls)
    time.sleep(1.0)
    assert len(inside.slack.calls) == calls
    assert inside.listener._relay._settled == {held.order.id: inside.order().version}


def test_an_alert_of_another_door_is_told_and_approved_in_its_channel(slack: Server, tmp_path: Path) -> None:
    with Inside(slack, tmp_path, **{"tell-channel": "C0OPS"}) as inside:
        origin = Origin(door="webhook", sender="falco", shown="<!channel>")
        order = queue.compose("key", origin, "contain", "web-0", "shop", cluster="uid-1", clock=inside.clock, settings=inside.settings,
                              approvers=("approvers",), rule="shell-in-pod")  # fmt: skip
        queue.submit(inside.orders, order, inside.clock)
        inside.becomes(inside.order(), state="waiting", planned=PLAN)
        message = inside.live("waits for approval")
        root = slack.messages["C0OPS", message["thread_ts"]]
        assert said(root).startswith("An alert of falco asks irkit: contain web-0 -n shop")
        until(lambda: message["ts"] in inside.order().status.message, 5, lambda: "the queue does not know the message")
        inside.people.presses(message, "irkit-approve", user=BOB)
        until(lambda: inside.order().status.state == "queued", 5, lambda: str(inside.lines))


def test_an_alert_that_was_removed_meanwhile_leaves_a_thread_of_its_own(inside: Inside) -> None:
    inside.slack.throttle("chat.postMessage", 1, 1.0)
    inside.people.shortcut({"type": "message", "ts": "1699999999.000100", "text": "pod=web-0 namespace=todo-app"})
    inside.event("slack-pause")
    del inside.slack.messages["C0INC", "1699999999.000100"]
    message = inside.live("web-0")
    assert message["thread_ts"] != "1699999999.000100"


def test_a_channel_that_irkit_is_not_in_is_said_to_whoever_asked(inside: Inside) -> None:
    inside.slack.channels["C0INC"]["is_member"] = False
    inside.people.types("collect web-0")
    inside.whisper("irkit can't write into this channel (Slack's answer to chat.postMessage: not_in_channel). Invite it: /invite @irkit")
    assert inside.order().status.state == "queued"


@pytest.mark.slow
def test_a_token_that_is_revoked_later_is_tried_less_and_less_often(inside: Inside) -> None:
    inside.slack.word = "token_revoked"
    inside.slack.cut()
    inside.event("slack-refused")
    time.sleep(3.5)
    opened = [at for at, method in inside.slack.calls if method == "apps.connections.open"]
    assert len(opened) <= 5
    inside.slack.word = ""
    until(lambda: [s for s in inside.slack._sockets.values() if s.open], 20, lambda: str(inside.lines))
    inside.people.types("collect web-0")
    inside.order()


@pytest.mark.parametrize("word", ["token_expired", "token_revoked", "invalid_auth", "account_inactive"])
def test_a_token_that_is_none_is_refused_at_the_start(slack: Server, tmp_path: Path, word: str) -> None:
    slack.word = word
    with pytest.raises(ForbiddenError) as caught, Inside(slack, tmp_path):
        pass
    assert caught.value.message == f"Slack's answer to apps.connections.open: {word}"
    assert caught.value.exit_code == 4


def test_slack_is_out_at_the_start_and_comes_back(slack: Server, tmp_path: Path) -> None:
    slack.down = True
    with Inside(slack, tmp_path) as made:
        made.event("slack-not-connected")
        slack.down = False
        slack.connections(1)
        made.people.types("collect web-0")
        made.order()


@pytest.mark.parametrize("address", [
    "http://slack.example", "ftp://slack.com", "https://", "slack.com", "https://u:p@slack.com", "https://slack.com/x", "https://slack.com:x",
])  # fmt: skip
def test_tokens_go_to_no_address_that_is_not_encrypted(address: str) -> None:
    from irkit.adapters.slackhost import base

    with pytest.raises(UsageError):
        base({"IRKIT_SLACK_BASE_URL": address})


@pytest.mark.parametrize(("url", "good"), [
    ("wss://wss-primary.slack.com/link?x", True), ("wss://slack.com/", True), ("ws://wss-primary.slack.com/", False), ("wss://evil.example/", False),
    ("wss://slack.com.evil.example/", False), ("wss://notslack.com/", False), ("wss://wss-primary.slack.com:8443/", False), ("wss://[", False),
    ("http://127.0.0.1/", False),
])  # fmt: skip
def test_slack_is_followed_only_to_slack_and_encrypted(url: str, good: bool) -> None:
    from irkit.adapters.slackhost import trusted

    assert trusted("slack.com", url, ("wss", "ws")) is good


def test_a_burst_of_commands_is_acknowledged_in_time(inside: Inside) -> None:
    took: list[float] = []
    threads = [threading.Thread(target=lambda: took.append(inside.people.types("collect web-0").seconds)) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"60 at once: the slowest acknowledgement after {max(took) * 1000:.0f} ms")
    assert len(took) == 60
    until(lambda: len(inside.orders.list()) == 60, 20, lambda: str(len(inside.orders.list())))
