"""What people type, and what Slack's editors make of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.errors import UsageError
from irkit.listeners.slack import blocks, commands
from irkit.listeners.slack.commands import USAGE, Asked, parse
from irkit.listeners.slack.desk import sentence
from tests.slack import limits


@pytest.mark.parametrize(("text", "asked"), [
    ("collect web-0 -n shop", Asked("collect", "web-0", "shop")),
    ("  COLLECT   web-0\u00a0-n\u2003shop ", Asked("collect", "web-0", "shop")),
    ("collect -n shop web-0", Asked("collect", "web-0", "shop")),
    ("contain web-0 --namespace=shop", Asked("contain", "web-0", "shop")),
    ("contain web-0 -n=shop", Asked("contain", "web-0", "shop")),
    ("contain web-0 -nshop", Asked("contain", "web-0", "shop")),
    ("contain web-0 —namespace shop", Asked("contain", "web-0", "shop")),
    ("contain web-0 –n shop", Asked("contain", "web-0", "shop")),
    ("collect “web-0” -n ‘shop’", Asked("collect", "web-0", "shop")),
    ("collect `web-0` -n *shop*", Asked("collect", "web-0", "shop")),
    ("collect <http://web.shop.io|web.shop.io> -n shop", Asked("collect", "web.shop.io", "shop")),
    ("collect <http://web.shop.io> -n shop", Asked("collect", "web.shop.io", "shop")),
    ("collect deploy/web -n shop", Asked("collect", "deploy/web", "shop")),
    ("collect web-0", Asked("collect", "web-0", "")),
    ("status", Asked("status", "", "")),
    ("status bcdfghjkmnpq", Asked("status", "bcdfghjkmnpq", "")),
    ("rehearse", Asked("rehearse", "", "")),
    ("", Asked("help", "", "")),
    ("help me", Asked("help", "", "")),
])  # fmt: skip
def test_a_command_is_understood(text: str, asked: Asked) -> None:
    assert parse(text) == asked


@pytest.mark.parametrize(("text", "said"), [
    ("colect web-0", "there is no command 'colect' here; did you mean collect?"),
    ("collect", "collect needs to know of which pod"),
    ("collect a b", "collect takes one name, not 'a b'"),
    ("rehearse now", "rehearse takes nothing, not 'now'"),
    ("status -n shop", "status takes no option '-n' in Slack"),
    ("contain web-0 --yes", "contain takes no option '-yes' in Slack"),
    ("collect web-0 -n", "-n needs the name of a namespace"),
    ("collect web-0 -n --yes", "-n needs the name of a namespace"),
    ("x" * 40_960, "that is 40960 characters; a command of irkit has at most 1000"),
    ("collect web &lt;!channel&gt;", "collect takes one name, not 'web <!channel>'"),
])  # fmt: skip
def test_what_is_no_command_is_answered_in_one_sentence(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert caught.value.message == said


@given(st.text(max_size=1100) | st.builds(" ".join, st.lists(st.sampled_from([*USAGE, "-n", "=", "—", "<http://a|b>", "&amp;", "'"]), max_size=8)))
def test_any_text_is_a_command_or_one_sentence_that_slack_takes(text: str) -> None:
    try:
        found: Asked | UsageError = parse(text)
    except UsageError as error:
        found = error
    if isinstance(found, Asked):
        assert found.word == "help" or found.word in USAGE
    else:
        shown, parts = blocks.note(sentence(found))
        limits.message({"text": shown, "blocks": parts})
        assert len(found.message) < 400
        assert "\n" not in found.message


def test_help_names_every_command() -> None:
    assert [line.split()[1].rstrip(":") for line in commands.overview().splitlines()[:-1]] == list(USAGE)
