"""The Slack of these tests is strict: each of its rules refuses what breaks it. A test against one that takes anything would prove nothing."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

from irkit.listeners.slack import blocks, card
from tests.slack import limits
from tests.slack.limits import Invalid
from tests.slack.server import APP, BOT, Server

GOOD = [blocks.section("*bold* `code` <@U0ANN> &amp;"), *blocks.said("a <b> & c")]
BUTTON = blocks.button("Approve", card.APPROVE, "x", style="primary", ask=("Sure?", "Really?"))


def section(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True, **more}}


@pytest.mark.parametrize("bad", [
    [], [*GOOD] * 26, [{"type": "secton"}], [{"type": "section"}], [section("")], [section("x" * 3001)], [section("<!channel>")], [section("a & b")],
    [section("a > b")], [section("<https://evil.example|x>")], [section("https://evil.example")], [section("@here")], [section("`a")],
    [section("\u202e")], [section("\u200b")], [section("x", verbatim=False)], [section("x", colour="red")],
    [{"type": "section", "text": {"type": "plain_text", "text": "x"}}],
    [{"type": "section", "text": {"type": "plain_text", "text": "x", "emoji": True}}],
    [{"type": "header", "text": blocks.marked("x")}], [{"type": "header", "text": blocks.plain("x" * 151)}],
    [{"type": "context", "elements": []}], [{"type": "context", "elements": [blocks.plain("x")] * 11}],
    [{"type": "actions", "elements": []}], [{"type": "actions", "elements": [{**BUTTON, "action_id": f"a{n}"} for n in range(26)]}],
    [{"type": "actions", "elements": [BUTTON, BUTTON]}], [{"type": "actions", "elements": [{**BUTTON, "action_id": "x" * 256}]}],
    [{"type": "actions", "elements": [{**BUTTON, "value": "x" * 2001}]}],
    [{"type": "actions", "elements": [{**BUTTON, "text": blocks.plain("x" * 76)}]}],
    [{"type": "actions", "elements": [{**BUTTON, "style": "green"}]}],
    [{"type": "actions", "elements": [{**BUTTON, "confirm": {**BUTTON["confirm"], "text": blocks.plain("x" * 301)}}]}],
    [{**blocks.section("x"), "block_id": "same"}, {**blocks.section("y"), "block_id": "same"}], [{**blocks.section("x"), "block_id": "x" * 256}],
    [{"type": "section", "fields": [blocks.plain("x")] * 11}],
])  # fmt: skip
def test_blocks_beyond_slacks_limits_or_irkits_law_are_refused(bad: list[dict[str, Any]]) -> None:
    limits.message({"text": "t", "blocks": GOOD})
    with pytest.raises(Invalid):
        limits.message({"text": "t", "blocks": bad})


@pytest.mark.parametrize("text", [None, "", "x" * 4001, "<!here>", "a & b"])
def test_the_text_of_a_message_is_looked_at_too(text: str | None) -> None:
    with pytest.raises(Invalid):
        limits.message({"text": text, "blocks": GOOD})


def called(slack: Server, method: str, token: str = BOT, **body: Any) -> dict[str, Any]:
    status, answer, _ = slack.api(method, token, body, form=method in ("conversations.info", "files.getUploadURLExternal"))
    return {"status": status, **answer}


def test_tokens_scopes_and_channels_are_checked() -> None:
    with Server(("commands",)) as slack:
        message: dict[str, Any] = {"text": "t", "blocks": GOOD, "unfurl_links": False, "unfurl_media": False}
        assert called(slack, "auth.test", APP)["error"] == "invalid_auth"
        assert called(slack, "apps.connections.open", BOT)["error"] == "invalid_auth"
        assert called(slack, "chat.postMessage", channel="C0INC", **message)["error"] == "missing_scope"
        assert called(slack, "chat.delete")["error"] == "unknown_method"
        slack.scopes.add("chat:write")
        assert called(slack, "chat.postMessage", channel="C0INC", **message)["ok"] is True
        assert called(slack, "chat.postMessage", channel="C0NONE", **message)["error"] == "channel_not_found"
        assert called(slack, "chat.postMessage", channel="C0INC", **{**message, "unfurl_links": True})["ok"] is False
        assert called(slack, "chat.update", channel="C0INC", ts="1.1", text="t", blocks=GOOD)["error"] == "message_not_found"
        assert called(slack, "views.open", trigger_id="never", view={})["ok"] is False


def test_a_client_that_does_not_wait_is_found_out() -> None:
    with Server() as slack:
        slack.throttle("auth.test", 1, 5.0)
        assert called(slack, "auth.test")["status"] == 429
        assert slack.violations == []
        assert called(slack, "auth.test")["status"] == 429
        assert len(slack.violations) == 1


def test_a_message_that_is_edited_twice_in_a_second_is_a_violation() -> None:
    with Server() as slack:
        stamp = called(slack, "chat.postMessage", channel="C0INC", text="t", blocks=GOOD, unfurl_links=False, unfurl_media=False)["ts"]
        assert called(slack, "chat.update", channel="C0INC", ts=stamp, text="t", blocks=GOOD)["ok"] is True
        assert called(slack, "chat.update", channel="C0INC", ts=stamp, text="t", blocks=GOOD)["status"] == 429
        assert len(slack.violations) == 1


def test_a_sixth_answer_to_one_event_is_refused() -> None:
    with Server() as slack:
        body = json.dumps({"text": "t", "blocks": GOOD, "response_type": "ephemeral"}).encode()
        url = slack.hook()
        for _ in range(5):
            with urllib.request.urlopen(urllib.request.Request(url, body)) as answer:
                assert answer.status == 200
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(url, body))
        caught.value.close()
        assert len(slack.violations) == 1


def test_acknowledgements_come_once_and_carry_what_they_may() -> None:
    with Server() as slack:
        slack.acknowledged(1, {"envelope_id": "never"})
        assert slack.violations == ["envelope never was acknowledged and never sent"]


def test_a_trigger_is_good_for_three_seconds() -> None:
    with Server() as slack:
        slack.triggers["t"] = time.monotonic() - 3.1
        assert called(slack, "views.open", trigger_id="t", view={})["ok"] is False
        assert "expired_trigger_id" in slack.violations[0]
