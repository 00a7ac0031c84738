"""No text of a stranger's becomes a mention, a link, markup, or a character that nobody sees; and no message is beyond Slack's limits."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from irkit.errors import UnreachableError
from irkit.listeners.slack import blocks, card, escape, reading
from irkit.model.order import Decision, Ended, Held, Order, Origin, Planned, State, Status
from irkit.settings import Settings
from irkit.settings.slack import SlackSettings
from tests.slack import limits
from tests.slack.world import SETTINGS, said

NASTY = (
    "<!channel>", "<!here|x>", "<!subteam^S1>", "<@U0EVE>", "<#C0INC>", "<https://evil.example|irkit>", "https://evil.example", "@here", "@channel",
    "`", "```", "*bold*", "&amp;", "&", "<", ">", "\u202e", "\u200b", "\u2066", "\u3164", "\u034f", "\ufe0f", "\U000e0041", "\ud800", "\x1b[31m",
    "\n", "\r", "\u2028", ":smile:", "\ufeff", "\u115f", "\u00ad",
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(NASTY) | st.text(st.characters(), max_size=12), max_size=12).map("".join)
LONG = TEXTS | st.sampled_from(["x" * 5000, "\u202e" * 3000, "&" * 3000, "`" * 3000, "<" * 3000])
CONFIGURED = Settings(slack=msgspec.convert({**SETTINGS, "bag-channel": "C0BAGS"}, SlackSettings))
AT = "2026-11-22T03:15:00.000Z"


@given(LONG)
@example("".join(NASTY))
def test_plain_text_and_code_hide_nothing_and_link_nothing(text: str) -> None:
    limits.blocks([*blocks.said(text or "-"), blocks.section(escape.code(text)), blocks.context(escape.code(text)), blocks.header(text)], 50)
    limits.blocks([blocks.section(escape.person(text)), blocks.section(escape.place(text))], 50)


@given(LONG, st.integers(2, 400))
def test_what_is_cut_stays_within_its_limit(text: str, limit: int) -> None:
    assert len(escape.visible(text, limit)) <= limit


def test_what_can_be_seen_stays_as_it_is() -> None:
    text = "Pod todo-app/backend: 3 → 0 replicas, ünïcödé, 日本語\n* second line"
    assert escape.visible(text) == text
    assert escape.code("a<b>&`c`") == "`a&lt;b&gt;&amp;'c'`"
    assert escape.visible("a\u202eb\u200bc") == "a\\u202eb\\u200bc"


ORIGINS = st.builds(Origin, door=st.sampled_from(["slack", "webhook", "cli"]), sender=TEXTS | st.just("U0ANN"), shown=TEXTS, team=TEXTS)
ORDERS = st.builds(
    Order, id=st.just("bcdfghjkmnpq"), origin=ORIGINS, command=st.sampled_from(["collect", "contain", "respond"]), playbook=TEXTS, target=LONG,
    namespace=LONG, cluster=TEXTS, created=st.just(AT), expires=st.just(AT), needs=st.sampled_from(["nobody", "one", "two"]),
    approvers=st.just(("approvers",)), rule=TEXTS, because=TEXTS,
)  # fmt: skip
PLANS = st.builds(Planned, digest=st.just("a" * 64), intents=st.just(("b",)), lines=st.lists(LONG, max_size=40).map(tuple),
                  warnings=st.lists(LONG, max_size=10).map(tuple))  # fmt: skip
ENDS = st.builds(Ended, outcome=TEXTS, exit_code=st.integers(0, 130), summary=LONG, next=LONG, missing=st.lists(LONG, max_size=40).map(tuple),
                 missing_count=st.integers(0, 99), manifest=TEXTS, pushed=LONG, bundle=TEXTS)  # fmt: skip
DECISIONS = st.lists(st.builds(Decision, by=ORIGINS, yes=st.booleans(), at=st.just(AT), digest=st.just("a"), void=LONG), max_size=6).map(tuple)
STATES: tuple[State, ...] = ("planning", "waiting", "queued", "running", "done", "failed", "declined", "expired")


@settings(deadline=None)
@given(
    ORDERS,
    st.builds(Status, state=st.sampled_from(STATES), changed=st.just(AT), note=LONG, incident=TEXTS, planned=st.none() | PLANS,
              decisions=DECISIONS, ended=st.none() | ENDS, message=st.sampled_from(["", "C/1/2/F1/", "C/1/2/-/"]) | TEXTS),
)  # fmt: skip
def test_any_order_is_a_message_that_slack_takes(order: Order, status: Status) -> None:
    held = Held(order=order, status=status, version="1")
    for text, parts in (card.root(held, CONFIGURED), card.live(held, CONFIGURED)):
        limits.message({"text": text, "blocks": parts})


def test_only_an_order_that_waits_has_buttons_and_they_name_its_plan() -> None:
    origin = Origin(door="slack", sender="U0ANN")
    order = Order(id="bcdfghjkmnpq", origin=origin, command="contain", playbook="p", target="web-0", namespace="shop", cluster="u", created=AT,
                  expires=AT, needs="one", approvers=("approvers",))  # fmt: skip
    plan = Planned(digest="a" * 64, intents=("b",), lines=("scale it",))
    for state in STATES:
        shown = card.order(Held(order=order, status=Status(state=state, changed=AT, planned=plan), version="1"), CONFIGURED)
        buttons = [e for b in shown if b["type"] == "actions" for e in b["elements"]]
        assert [b["value"] for b in buttons] == ([f"bcdfghjkmnpq {'a' * 64}"] * 2 if state == "waiting" else [])
    assert "May approve: <@U0BOB>" in said(
        {"blocks": card.order(Held(order=order, status=Status(state="waiting", changed=AT, planned=plan), version="1"), CONFIGURED)}
    )


def held(*lines: str, **status: Any) -> Held:
    order = Order(id="bcdfghjkmnpq", origin=Origin(door="slack", sender="U0ANN"), command="respond", playbook="compromised-pod", target="web-0",
                  namespace="shop", cluster="u", created=AT, expires=AT, needs="one", approvers=("approvers",), phase="recovery",
                  parameters={"image": "x; rm -rf /"})  # fmt: skip
    return Held(order=order, status=Status(changed=AT, planned=Planned(digest="a" * 64, intents=("b",) * 40, lines=lines), **status), version="1")


def test_a_plan_that_does_not_fit_says_how_much_is_missing_and_where_it_is() -> None:
    hidden = "\u202e" * 60
    text = said({"blocks": card.order(held(*(f"line {n} {hidden}" for n in range(40)), state="waiting"), CONFIGURED)})
    shown = [n for n in range(40) if f"line {n} " in text]
    assert shown == list(range(len(shown)))
    assert 10 < len(shown) < 40
    assert f"and {40 - len(shown)} more: irkit order show bcdfghjkmnpq" in text


def test_what_is_shown_names_the_phase_and_what_was_given() -> None:
    for _, parts in (card.root(held(state="waiting"), CONFIGURED), card.live(held(state="waiting"), CONFIGURED)):
        assert "respond compromised-pod web-0 -n shop --phase recovery -p 'image=x; rm -rf /'" in said({"blocks": parts})


def test_what_may_have_been_done_in_part_is_not_called_nothing() -> None:
    before = (Decision(by=Origin(door="slack", sender="U0BOB"), yes=True, at=AT, digest="a", void="more is needed than was approved"),)
    for state in ("planning", "waiting", "declined", "expired"):
        assert "nothing was changed" not in (text := said({"blocks": card.order(held("a", state=state, decisions=before), CONFIGURED)}))
        assert "nothing more is changed" in text or "what was done before stays" in text
    assert "nothing was changed" in said({"blocks": card.order(held("a", state="declined"), CONFIGURED)})


def test_nobody_is_named_as_an_approver_whose_word_would_not_count() -> None:
    """An order names groups, and whoever made it may have named any; the settings say which of them count."""
    odd = held("a", state="waiting")
    odd = msgspec.structs.replace(odd, order=msgspec.structs.replace(odd.order, approvers=("on-call",)))
    assert "May approve: nobody in Slack" in said({"blocks": card.order(odd, CONFIGURED)})


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 300) | TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["target", "credentials", "missing", "next", "keys", "kind", "name", "namespace", "class", "reasons", "isolation", "leaks", "checks", "steps",
         "error", "code", "message", "exitCode", "outcome", "evidence"]), inner, max_size=6), max_leaves=20)  # fmt: skip


@given(st.sampled_from(["blast-radius", "verify", "rehearse"]), DOCUMENTS)
def test_any_document_of_a_reading_command_is_told_or_refused(word: str, document: object) -> None:
    try:
        encoded = msgspec.json.encode(document)
    except UnicodeEncodeError:  # a lone surrogate is in no JSON
        return
    with suppress(UnreachableError):
        limits.blocks(blocks.said(reading.told(word, encoded)), 50)
