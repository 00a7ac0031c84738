"""The scorecard says what went wrong, when, by which request, and what would have been better; as text, JSON and a page."""

from __future__ import annotations

import json
import re

import msgspec
import pytest

from irkit.app import gameday
from irkit.cli import games
from irkit.game import loader, manual, page
from irkit.game.card import Finding, Scorecard
from irkit.game.harm import spans
from tests.components import devtools

FIRST = loader.find("first-contact")
PACE = gameday.PACE
WIDTHS = (360, 800, 1200)


@pytest.fixture(scope="module")
def naive() -> Scorecard:
    return games.played(FIRST, 0, "test", gameday.NAIVE)


def test_it_has_the_fields_that_were_promised(naive):
    document = json.loads(msgspec.json.encode(naive))
    assert {"kind", "scenario", "seed", "score", "times", "findings"} <= set(document)
    assert (document["kind"], document["scenario"], document["seed"]) == ("Scorecard", "first-contact", 0)
    assert list(document["times"]) == ["detect", "contain", "evidence", "rotate", "recover"]
    assert all({"when", "what", "why", "runbook", "better"} <= set(finding) for finding in document["findings"])
    assert all(f["says"] for f in document["findings"] if f["runbook"])


def test_evidence_that_was_destroyed_has_its_time_and_its_request(naive):
    at = 6 * PACE  # the scale-down is the sixth command
    assert len(naive.evidence["destroyed"]) == 3
    for pod in naive.evidence["destroyed"]:
        assert at <= pod["when"] < at + 5
        assert pod["by"] == "oncall@example.com: patch deployments todo-app/backend"
    turn = next(t for t in naive.wrong_turns if t["goal"] == "kept-alive")
    assert (turn["who"], turn["verb"], turn["object"]) == ("oncall@example.com", "patch", "deployments todo-app/backend")
    assert at <= turn["when"] < at + 5


def test_an_outage_is_from_when_to_when(naive):
    (outage,) = naive.collateral["outages"]
    assert (outage["service"], outage["own"]) == ("todo-app/backend", True)
    assert outage["to"] - outage["from"] == pytest.approx(60 * outage["minutes"], abs=1)
    assert 2 < outage["minutes"] < 4


def test_what_leaked_has_a_duration_and_ends_when_it_is_cut(naive):
    assert all(leak["seconds"] == pytest.approx(float(leak["to"]) - float(leak["from"]), abs=0.01) for leak in naive.leaks)
    assert {each["to"] is not None and each["to"] < 7 * PACE for each in naive.open} == {True}
    nothing = games.played(FIRST, 0, "test", ())
    assert all(each["to"] is None and each["seconds"] == pytest.approx(nothing.lasted) for each in nothing.open)
    assert {each["goal"] for each in nothing.unrotated} == {"app-keys", "database-login", "token"}
    assert len(nothing.evidence["missed"]) == 3


def test_a_break_in_what_got_through_makes_two_leaks():
    tried = [(0.0, True), (10.0, True), (20.0, False), (30.0, True), (40.0, False), (50.0, False)]
    assert list(spans(tried)) == [(0.0, 10.0), (30.0, 30.0)]
    assert list(spans([(5.0, False)])) == []


def test_healthy_pods_that_were_hit_are_named_with_who_did_it():
    card = games.played(FIRST, 0, "test", ("kubectl delete namespace todo-app",))
    hit = {pod["pod"].rpartition("/")[2].split("-")[0]: pod for pod in card.collateral["pods"]}
    assert {"frontend"} <= set(hit)
    assert all(pod["by"] == "oncall@example.com: delete namespaces todo-app" and PACE <= pod["when"] < PACE + 70 for pod in hit.values())
    assert {outage["service"] for outage in card.collateral["outages"]} >= {"todo-app/backend", "todo-app/frontend"}


@pytest.mark.parametrize("step", ["cut-network", "keep-evidence", "stop-workload", "rotate-credentials", "redeploy"])
def test_what_the_runbook_says_there_is_a_sentence_of_it(step):
    assert re.match(r"[A-Z].{20,}", manual.said(f"compromised-pod.md#{step}"))
    assert not re.search(r"[`*\]]", manual.said(f"compromised-pod.md#{step}"))


@pytest.mark.parametrize(
    "reference", ["", "none.md#x", "../README.md#x", "/etc/passwd#root", "compromised-pod.md", "compromised-pod.md#none", "a.md#[("]
)
def test_a_runbook_that_is_not_there_says_nothing(reference):
    assert manual.said(reference) == ""


NASTY = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&\u202e\x1b[31m</style></td>"


def hostile() -> Scorecard:
    """What attackers and players can write: names of pods, users, objects."""
    return Scorecard(
        scenario="x", title=NASTY, seed=1, player=NASTY, team=NASTY, score=12, times={NASTY: 3.0, "detect": None},
        leaks=[{"what": NASTY, "from": 1.0, "to": 2.0, "seconds": 1.0}], open=[{"what": NASTY, "from": 1.0, "to": None, "seconds": 9.0}],
        evidence={"destroyed": [{"pod": NASTY, "when": 1.0, "by": NASTY}], "missed": [NASTY]}, unrotated=[{"goal": NASTY, "why": NASTY}],
        collateral={"pods": [{"pod": NASTY, "when": 1.0, "by": ""}],
                    "outages": [{"service": NASTY, "from": 1.0, "to": None, "minutes": 3.0, "own": False}]},
        wrong_turns=[{"when": 1.0, "goal": NASTY, "who": NASTY, "verb": NASTY, "object": NASTY}],
        findings=[Finding(when=None, what=NASTY, why=NASTY, runbook=NASTY, better=NASTY * 5, by=NASTY, says=NASTY)],
        compared={"player": NASTY, "score": 100, "times": {"detect": 1.0}},
    )  # fmt: skip


def test_whatever_stands_in_a_name_is_text_on_the_page():
    text = page.html(hostile())
    assert "<script" not in text
    assert "<img" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert text.count("<style>") == text.count("</style>") == 1


@pytest.mark.parametrize("made", ["naive", "hostile"])
def test_it_opens_offline_without_a_word_at_every_width(browser, tmp_path, naive, made):
    file = tmp_path / "card.html"
    file.write_text(page.html(naive if made == "naive" else hostile()))
    with devtools.page(browser.program) as shown:
        for width, scheme in zip(WIDTHS, ("light", "dark", "light"), strict=True):
            shown.open(file.as_uri(), width=width, scheme=scheme)
            asked = [p["request"]["url"] for method, p in shown.events if method == "Network.requestWillBeSent"]
            assert asked == [file.as_uri()]
            assert [p for m, p in shown.events if m in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")] == []
            assert not [m for m, _ in shown.events if m == "Page.javascriptDialogOpening"]
            assert shown.value("document.documentElement.scrollWidth") <= width
            assert shown.value("document.scripts.length + document.images.length") == 0
        light = shown.value("getComputedStyle(document.body).backgroundColor")
        shown.open(file.as_uri(), width=1200, scheme="dark")
        assert shown.value("getComputedStyle(document.body).backgroundColor") != light  # the style sheet is in force, and knows the dark
