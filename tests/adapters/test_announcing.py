"""Pagers, ticket systems and chat rooms: told what happens, in their own words, by data alone; and never waited for by the run."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from irkit import settings
from irkit.adapters.announcing import Announcer, body
from irkit.adapters.notifier import Messenger
from irkit.app import closing
from irkit.app import lift as lifting
from irkit.app.respond import respond
from irkit.engine.events import Said
from irkit.errors import UsageError
from irkit.model.announcement import EVENTS, Announcement
from irkit.settings import Settings, templates
from tests.adapters.scripted import answer, silence
from tests.adapters.test_notifier import CHAT, EVIL, incident
from tests.clocks import StepClock
from tests.engine.harness import bench
from tests.orders.desk import desk

KEY = "c4nary-of-a-routing-key"
ID = "20261122T030000Z-backend-k7q2ab"
NASTY = '"},"x":"${value.routing-key} ${incident.id} <!channel> @all {noformat} ``` [x](http://evil) \\u0000 \n### ' + EVIL


def configured(tmp_path: Any, webhooks: dict[str, Any], contacts: Any = ()) -> Settings:
    (tmp_path / "key").write_text(KEY + "\n")
    (tmp_path / "authorization").write_text(f"GenieKey {KEY}\n")
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps({"notify": {"webhooks": webhooks}, "contacts": list(contacts)}))
    return settings.load({"IRKIT_CONFIG": str(file)})


def said(event: Any = "opened", **more: Any) -> Announcement:
    base = Announcement(event=event, incident=ID, title="[irkit] critical incident k7q2ab: todo-app/backend-x", text="opened", severity="critical",
                        target="Pod todo-app/backend-x", namespace="todo-app", cluster="prod", next=f"irkit incident show {ID}")  # fmt: skip
    return msgspec.structs.replace(base, **more)


def hook(tmp_path: Any, template: Any, **more: Any) -> dict[str, Any]:
    values = {"value-files": {"routing-key": str(tmp_path / "key")}, "values": {"project": "SEC"}}
    return {"url": "https://x.example/", "template": template, **values, **more}


def filled(tmp_path: Any, template: Any, announcement: Announcement) -> Any:
    return body(configured(tmp_path, {"w": hook(tmp_path, template)}).notify.webhooks["w"], announcement)


def test_pagerduty_opens_updates_and_resolves_one_alert(webhook, tmp_path):
    sink = webhook(answer(202))
    set_ = configured(tmp_path, {"pager": hook(tmp_path, "pagerduty", url=f"{sink.url}/v2/enqueue", events=["opened", "drift", "closed"])})
    told = Announcer(set_, StepClock())
    for event in ("opened", "ended", "drift", "closed"):
        told.tell(said(event))
    assert told.wait() == []
    documents = [r.json for r in sink.requests]
    assert [(d["event_action"], d["dedup_key"]) for d in documents] == [("trigger", ID), ("trigger", ID), ("resolve", ID)]
    assert documents[0]["routing_key"] == KEY
    payload = documents[0]["payload"]
    assert {payload["severity"], documents[0]["payload"]["source"]} == {"critical", "prod"}
    assert set(payload) <= {"summary", "source", "severity", "component", "group", "class", "custom_details"}
    assert len(payload["summary"]) <= 1024
    assert len(filled(tmp_path, "pagerduty", said(text="x" * 5000))["payload"]["summary"]) <= 1024, "more is refused there"
    assert [d["payload"]["severity"] for d in (filled(tmp_path, "pagerduty", said(severity=s)) for s in ("high", "medium", "low", ""))] == [
        "error", "warning", "info", "info"]  # fmt: skip


def test_opsgenie_closes_by_its_alias(webhook, tmp_path):
    sink = webhook(answer(202))
    close = f"{sink.url}/v2/alerts/${{incident.id}}/close?identifierType=alias"
    own = hook(tmp_path, "opsgenie", url=f"{sink.url}/v2/alerts", events=["opened", "closed"]) | {"url-closed": close}
    own["authorization-file"] = str(tmp_path / "authorization")
    told = Announcer(configured(tmp_path, {"o": own}), StepClock())
    told.tell(said("opened"))
    told.tell(said("closed"))
    assert told.wait() == []
    assert [r.target for r in sink.requests] == ["/v2/alerts", f"/v2/alerts/{ID}/close?identifierType=alias"]
    assert {r.headers["authorization"] for r in sink.requests} == {f"GenieKey {KEY}"}
    first = sink.requests[0].json
    assert (first["alias"], first["priority"]) == (ID, "P1")
    assert len(first["message"]) <= 130


@pytest.mark.parametrize("template", [*templates.BUILT_IN, {"a": ["${text}", {"b": "x ${summary} y"}]}])
@pytest.mark.parametrize("nasty", [NASTY, "x" * 50_000, "", "}" * 300])
def test_a_value_stays_one_text_however_it_reads(tmp_path, template, nasty):
    """A template's shape is the same whatever strangers wrote, and nothing of theirs is looked at for names."""
    plain = said(summary="ok", text="ok", title="ok")
    evil = said(summary=nasty, text=nasty, title=nasty, target=nasty, namespace=nasty, cluster=nasty, operator=nasty, playbook=nasty, next=nasty)
    one, other = (json.loads(json.dumps(filled(tmp_path, template, a))) for a in (plain, evil))
    assert _shape(one) == _shape(other)
    text = json.dumps(other)
    assert text.count(KEY) == json.dumps(one).count(KEY), "a value that reads like a name is no name"
    assert "\u202e" not in text.encode().decode("unicode_escape")
    assert "\x1b" not in text
    assert len(text) < 40_000


def _shape(node: Any) -> Any:
    if isinstance(node, dict):
        return {k: _shape(v) for k, v in node.items()}
    return [_shape(v) for v in node] if isinstance(node, list) else type(node)


def test_what_a_stranger_wrote_is_no_mark_up(tmp_path):
    evil = said(text=NASTY, title="t", target=NASTY)
    body_ = filled(tmp_path, "github-issue", evil)["body"]
    assert all(line.startswith("    ") for line in body_.split("\n")[2:]), "each line is code: no mention, no link, no way out"
    chat = filled(tmp_path, "slack", evil)["text"]
    assert "<" not in chat
    description = filled(tmp_path, "jira-issue", evil)["fields"]["description"]
    assert [c["type"] for c in description["content"]] == ["codeBlock"]
    assert filled(tmp_path, "jira-issue", evil)["fields"]["project"] == {"key": "SEC"}


@pytest.mark.parametrize(("own", "says"), [
    ({"template": "pagerdutty"}, "there is no template 'pagerdutty'"), ({"template": "pagerduty"}, "routing-key"),
    ({"template": {"a": "${incident}"}}, r"names \$\{incident\}"), ({"template": {"a": "${1+1}"}}, "names"),
    ({"template": {"a": {"$of": "nothing", "*": "x"}}}, "takes the name of one value"),
    ({"template": {"a": {"$of": "event", "opened": ["x"]}}}, "and texts"),
    ({"template": {"a": [[[[[[[[[[[[[[[[[[[[["x"]]]]]]]]]]]]]]]]]]]]]}}, "levels deep"), ({"template": {"a": ["x"] * 3000}}, "parts"),
    ({"headers": {"Authorization": "x"}}, "headers can't have"), ({"headers": {"X-A": "a\r\nB: c"}}, "headers can't have"),
    ({"headers": {"a b": "x"}}, "headers can't have"), ({"events": ["everything"]}, "Invalid enum value"),
    ({"url-closed": "http://evil.example/"}, "must be https"),
])  # fmt: skip
def test_settings_that_can_not_be_meant(tmp_path, own, says):
    with pytest.raises(UsageError, match=says):
        configured(tmp_path, {"w": {"url": "https://x.example", **own}})


def test_who_wants_nothing_is_told_nothing(webhook, tmp_path):
    sink = webhook()
    told = Announcer(configured(tmp_path, {"chat": {"url": sink.url}, "some": {"url": sink.url, "events": ["closed"]}}), StepClock())
    for event in set(EVENTS) - {"closed"}:
        told.tell(said(event))
    assert told.wait() == []
    assert sink.requests == []


def test_one_that_does_not_answer_holds_up_nothing_but_the_end_and_is_said_once(webhook, tmp_path):
    over = threading.Event()
    quiet, good = webhook(silence(over)), webhook()
    hooks = {"quiet": {"url": quiet.url, "timeout": 0.5, "events": ["opened", "ended"]}, "good": {"url": good.url, "events": ["opened", "ended"]}}
    told = Announcer(configured(tmp_path, hooks), StepClock())
    began = time.monotonic()
    told.tell(said("opened"))
    told.tell(said("ended"))
    assert time.monotonic() - began < 0.4
    assert told.wait() == ["quiet was not told: 127.0.0.1: no answer in time"]
    over.set()
    assert quiet.connections == 1
    assert [r.json["event"] for r in good.requests] == ["opened", "ended"]


@pytest.mark.parametrize("wrong", ["missing", "two lines", "not ascii"])
def test_a_file_that_is_no_header_sends_nothing_and_says_nothing_of_it(webhook, tmp_path, wrong):
    sink = webhook()
    hooks = {"w": {"url": sink.url, "events": ["opened"], "authorization-file": str(tmp_path / "header")}}
    if wrong != "missing":
        (tmp_path / "header").write_text(f"Bearer {KEY}\r\nX: y" if wrong == "two lines" else f"Bearer {KEY}é")
    told = Announcer(configured(tmp_path, hooks), StepClock())
    told.tell(said("opened"))
    (why,) = told.wait()
    assert why.startswith("w was not told: the header Authorization")
    assert KEY not in why
    assert sink.requests == []


def test_a_contact_may_be_told_by_a_template(webhook, tmp_path):
    sink = webhook()
    set_ = configured(tmp_path, {"chat": {"url": sink.url, "template": "slack", "headers": {"X-Team": "sre"}}}, [CHAT])
    assert Messenger(set_, StepClock()).send(["platform"], "Pod <!channel> is contained.", incident()) == "posted to 127.0.0.1"
    (request,) = sink.requests
    assert list(request.json) == ["text"]
    assert "&lt;!channel&gt; is contained." in request.json["text"]
    assert request.headers["x-team"] == "sre"


def test_a_run_tells_when_it_opens_ends_and_closes(webhook, tmp_path):
    sink = webhook()
    hooks = {"w": {"url": sink.url, "events": ["opened", "ended", "closed", "drift", "approval"]}}
    with bench(tmp_path, notify={"webhooks": hooks}) as b:
        ports = msgspec.structs.replace(b.ports, announcer=Announcer(b.ports.settings, StepClock()))
        done = respond(ports, b.request(reported=msgspec.structs.replace(b.request().reported, summary="odd <b>egress</b>")))
        told = [r.json for r in sink.requests]
        assert [(t["event"], t["incident"]) for t in told] == [("opened", done.incident), ("ended", done.incident)]
        assert told[1]["text"] == "irkit contain ended with 0; the incident is contained"
        assert told[0]["summary"] == "odd <b>egress</b>"
        lifting.lift(ports, done.incident, "keep")
        closing.close(ports, done.incident, anyway="an exercise")
        assert [r.json["event"] for r in sink.requests][2:] == ["ended", "closed"]
        assert not [e for e in b.events if isinstance(e, Said) and "was not told" in e.text]


def test_a_run_ends_as_it_would_where_nobody_can_be_told(tmp_path):
    hooks = {"w": {"url": "http://127.0.0.1:1", "events": ["opened", "ended"], "timeout": 1}}
    with bench(tmp_path, notify={"webhooks": hooks}) as b:
        ports = msgspec.structs.replace(b.ports, announcer=Announcer(b.ports.settings, StepClock()))
        assert respond(ports, b.request()).exit_code == 0
        assert [e.text for e in b.events if isinstance(e, Said) and "told" in e.text] == ["w was not told: 127.0.0.1: Connection refused"]


def test_who_decides_is_told_that_an_order_waits(webhook, tmp_path, monkeypatch):
    sink = webhook()
    with desk(tmp_path, monkeypatch.setenv) as d:
        d.configure(notify={"webhooks": {"w": {"url": sink.url, "events": ["approval"]}}})
        order = d.submit("contain")
        held = d.until(order, "waiting")
        told = wait_for(lambda: sink.requests)[0].json
        assert (told["event"], told["incident"], told["next"]) == ("approval", held.status.incident, f"irkit approve {order}")
        assert "asked by ann (slack U1): " in told["text"]


def wait_for(what: Callable[[], Any]) -> Any:
    for _ in range(200):
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("not within 10 s")


def test_the_settings_that_the_reference_shows_are_settings(tmp_path):
    pages = Path(__file__).parents[2] / "docs" / "reference"
    blocks = [b for name in ("notify.md", "bundle.md") for b in re.findall(r"```yaml\n(.*?)```", (pages / name).read_text(), re.DOTALL)]
    sections = [b for b in blocks if re.search(r"(?m)^(notify|store):", b)]
    assert len(sections) == 3
    for block in sections:
        (tmp_path / "config.yaml").write_text(block)
        settings.load({"IRKIT_CONFIG": str(tmp_path / "config.yaml")})
    (own,) = [b for b in blocks if b.startswith("template:")]
    (tmp_path / "config.yaml").write_text("notify: {webhooks: {w: {url: 'https://x.example',\n" + json.dumps(yaml.safe_load(own))[1:-1] + "}}}")
    hook_ = settings.load({"IRKIT_CONFIG": str(tmp_path / "config.yaml")}).notify.webhooks["w"]
    assert body(hook_, said()) == {"title": said().title, "team": "payments", "urgency": "now"}


def test_a_mistake_of_our_own_is_said_like_a_pager_that_does_not_answer(webhook, tmp_path, capfd):
    class Stopped(StepClock):
        def now(self) -> Any:
            raise KeyError(KEY)

    told = Announcer(configured(tmp_path, {"pager": hook(tmp_path, "pagerduty", url="http://127.0.0.1:9/", events=["opened"])}), Stopped())
    told.tell(said())
    assert told.wait() == ["pager was not told: inside irkit: KeyError"]
    assert KEY not in capfd.readouterr().err
