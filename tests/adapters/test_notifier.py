"""Telling people for real: a mail server and a webhook on loopback, what they take, and every way in which they do not."""

from __future__ import annotations

import json
import threading
import traceback
from email.utils import parseaddr
from pathlib import Path
from typing import Any

import pytest

from irkit import settings
from irkit.adapters import webhook as webhooks
from irkit.adapters.notifier import Messenger
from irkit.errors import UndeliveredError, UsageError
from irkit.model.incident import ClusterIdentity, Incident, Operator, Reported, Target
from irkit.model.kube import PODS, ObjectRef
from irkit.settings import Settings
from tests.adapters.proxy import Proxy
from tests.adapters.scripted import answer, silence
from tests.clocks import StepClock
from tests.components import smtp as smtp_server
from tests.components.serving import certificate, serving

PASSWORD = "pa$$ w0rd-canary"
EVIL = "evil\r\nBcc: everybody@example.com\r\n\r\n<script>alert(1)</script>\x1b[2J\u202e"


def incident(**more: Any) -> Incident:
    pod = ObjectRef(resource=PODS, name="backend-7c7c-x2", namespace="todo-app", uid="u1")
    cluster = ClusterIdentity(context="prod", server="https://10.0.0.1", uid="c1")
    return Incident(id="20261122T030000Z-backend-k7q2ab", opened="2026-11-22T03:00:00.000Z", operator=Operator(name="oncall"),
                    playbook="compromised-pod", cluster=cluster, target=Target(pod=pod), playbook_severity="critical", **more)  # fmt: skip


def configured(tmp_path: Path, contacts: list[dict[str, Any]], **notify: Any) -> Settings:
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps({"contacts": contacts, "notify": notify}))  # JSON is YAML
    return settings.load({"IRKIT_CONFIG": str(file)})


def smtp(box: Any, tmp_path: Path, **more: Any) -> dict[str, Any]:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    login = {"user": "irkit", "password-file": str(file)} if box.login else {}
    return {"host": "127.0.0.1", "port": box.port, "from": "irkit@example.com", "security": "starttls" if box.starttls else "none",
            **({"ca-file": str(box.ca)} if box.ca else {}), **login, **more}  # fmt: skip


LEAD = {"name": "security lead", "address": "lead@example.com", "roles": ["security-lead"]}
CHAT = {"name": "platform", "address": "#platform", "roles": ["platform"], "webhook": "chat"}


def test_a_mail_goes_over_verified_tls_to_whom_the_role_names(mailbox, tmp_path):
    box = mailbox(starttls=True, login=("irkit", PASSWORD))
    told = Messenger(configured(tmp_path, [LEAD, CHAT | {"webhook": ""}], smtp=smtp(box, tmp_path)), StepClock())
    for _ in range(2):
        assert told.send(["security-lead"], "Pod x is contained.", incident()) == f"mailed by 127.0.0.1:{box.port}"
    first, second = box.received
    assert (first.tls, first.user, first.sender, first.recipients) == (True, "irkit", "irkit@example.com", ("lead@example.com",))
    assert first.message["Subject"] == "[irkit] critical incident k7q2ab: todo-app/backend-7c7c-x2"
    assert first.message["Message-ID"] == second.message["Message-ID"]  # a mail that comes twice is one
    text = first.message.get_content()
    assert "Pod x is contained." in text
    assert "20261122T030000Z-backend-k7q2ab" in text


def test_tls_from_the_first_octet(tmp_path):
    class Implicit(smtp_server.Server):
        """RFC 8314 §3.3."""

        def get_request(self):
            sock, address = super().get_request()
            return tls.wrap_socket(sock, server_side=True), address

    box = smtp_server.Mailbox(login=("irkit", PASSWORD))
    with certificate() as (tls, ca), serving(Implicit(box, None)) as where:
        box.port = int(where.rpartition(":")[2])
        known = smtp(box, tmp_path, security="tls", **{"ca-file": str(ca)})
        Messenger(configured(tmp_path, [LEAD], smtp=known), StepClock()).send(["security-lead"], "x", incident())
        assert [m.user for m in box.received] == ["irkit"]
        del known["ca-file"]
        with pytest.raises(UndeliveredError, match="not trusted"):
            Messenger(configured(tmp_path, [LEAD], smtp=known), StepClock()).send(["security-lead"], "x", incident())
    assert len(box.received) == 1


def test_hostile_names_make_no_header_and_no_control_character(mailbox, tmp_path):
    box = mailbox()
    told = Messenger(configured(tmp_path, [LEAD], smtp=smtp(box, tmp_path)), StepClock())
    pod = ObjectRef(resource=PODS, name=EVIL, namespace=EVIL, uid="u1")
    evil = Incident(id=EVIL, opened="x", operator=Operator(name=EVIL), cluster=ClusterIdentity(context=EVIL, server=EVIL, uid=EVIL),
                    target=Target(pod=pod), playbook=EVIL, reported=Reported(by=EVIL, summary=EVIL, severity=EVIL))  # fmt: skip
    told.send([], EVIL, evil)
    (mail,) = box.received
    assert mail.recipients == ("lead@example.com",)
    assert set(mail.message.keys()) <= {
        "From", "To", "Subject", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"}  # fmt: skip
    everything = str(mail.message["Subject"]) + mail.message.get_content().replace("\r\n", "\n")
    assert not [c for c in everything if ord(c) < 32 and c != "\n"]
    assert "\u202e" not in everything


@pytest.mark.parametrize(("how", "says"), [
    ({"refuse": {"RCPT": "550 5.1.1 pa$$ w0rd-canary"}}, "does not take mail for lead@example.com (550)"),
    ({"refuse": {"DATA": "554 no"}}, "refuses the mail (554)"),
    ({"refuse": {"EHLO": "421 busy"}}, "127.0.0.1"),
    ({"login": ("irkit", "another")}, "refuses the login of irkit (535)"),
    ({"starttls": False, "security": "starttls"}, "does not offer what is needed"),
    ({"starttls": True, "ca-file": None}, "is not trusted"),
    ({"starttls": True, "host": "localhost.example"}, "localhost.example"),
])  # fmt: skip
def test_what_goes_wrong_is_one_sentence_without_what_the_server_said(mailbox, tmp_path, how, says):
    options = {k: v for k, v in how.items() if k in ("refuse", "login", "starttls")}
    box = mailbox(**options)
    set_ = {k: v for k, v in smtp(box, tmp_path).items() if k not in how} | {k: v for k, v in how.items() if k not in options and v}
    with pytest.raises(UndeliveredError) as caught:
        Messenger(configured(tmp_path, [LEAD], smtp=set_), StepClock()).send(["security-lead"], "x", incident())
    assert says in caught.value.message
    assert caught.value.message.startswith("not delivered to security lead <lead@example.com>: ")
    assert "canary" not in "".join(traceback.format_exception(caught.value))
    assert box.received == []


@pytest.mark.parametrize("channel", ["mail", "webhook"])
def test_who_does_not_answer_is_waited_for_once_and_not_long(webhook, tmp_path, channel):
    over = threading.Event()
    quiet = webhook(silence(over))
    server = {"host": "127.0.0.1", "port": quiet.port, "from": "irkit@example.com", "security": "none", "timeout": 0.3}
    notify = {"smtp": server} if channel == "mail" else {"webhooks": {"chat": {"url": quiet.url, "timeout": 0.3}}}
    told = Messenger(configured(tmp_path, [LEAD] if channel == "mail" else [CHAT], **notify), StepClock())
    for _ in range(5):
        with pytest.raises(UndeliveredError, match="no answer in time"):
            told.send([], "x", incident())
    over.set()
    assert quiet.connections == 1


def test_a_webhook_gets_a_signed_document(webhook, tmp_path):
    sink = webhook(tls=True)
    (tmp_path / "key").write_text("s3cret\n")
    (tmp_path / "url").write_text(f"{sink.url}/hooks/T0KEN?x=1\n")
    hook = {"url-file": str(tmp_path / "url"), "secret-file": str(tmp_path / "key"), "ca-file": str(sink.ca)}
    clock = StepClock()
    told = Messenger(configured(tmp_path, [LEAD, CHAT], webhooks={"chat": hook}), clock)
    assert told.send(["platform"], "Pod <!channel> is contained.", incident(reported=Reported(summary="odd"))) == "posted to 127.0.0.1"
    (request,) = sink.requests
    assert (request.method, request.target) == ("POST", "/hooks/T0KEN?x=1")
    assert request.headers["irkit-signature"] == webhooks.signature(b"s3cret", request.body, int(clock.now().timestamp()))
    document = request.json
    assert document["message"] == "Pod <!channel> is contained."
    assert "<" not in document["text"]
    assert {k: document[k] for k in ("kind", "severity", "summary", "to")} == {
        "kind": "Notification", "severity": "critical", "summary": "odd", "to": "platform <#platform>"}  # fmt: skip
    assert request.headers["idempotency-key"] == document["id"]


@pytest.mark.parametrize(("scene", "says"), [
    (answer(500), "answers 500"), (answer(302, headers={"Location": "http://127.0.0.1:1/"}), "answers 302"), (answer(404), "answers 404"),
])  # fmt: skip
def test_a_webhook_that_does_not_take_it(webhook, tmp_path, scene, says):
    sink = webhook(scene)
    told = Messenger(configured(tmp_path, [CHAT], webhooks={"chat": {"url": f"{sink.url}/T0KEN"}}), StepClock())
    with pytest.raises(UndeliveredError, match=says) as caught:
        told.send([], "x", incident())
    assert "T0KEN" not in caught.value.message
    assert len(sink.requests) == 1


def test_an_untrusted_certificate_of_a_webhook(webhook, tmp_path):
    sink = webhook(tls=True)
    told = Messenger(configured(tmp_path, [CHAT], webhooks={"chat": {"url": sink.url}}), StepClock())
    with pytest.raises(UndeliveredError, match="not trusted"):
        told.send([], "x", incident())
    assert sink.requests == []


def test_who_has_no_channel_is_shown_and_a_rehearsal_tells_nobody(mailbox, tmp_path):
    box = mailbox()
    known = configured(tmp_path, [LEAD, {"name": "boss", "address": "+49 30 5550100"}], smtp=smtp(box, tmp_path))
    shown = "shown here, not sent: x"
    assert Messenger(known, StepClock()).send(["boss"], "x", incident()) == shown
    assert Messenger(known, StepClock()).send(["nobody"], "x", incident()) == shown
    assert Messenger(known, StepClock(), rehearsal=True).send([], "x", incident()) == f"{shown}; {shown}"
    assert box.received == []
    assert Messenger(known, StepClock()).send(["who@example.com"], "x", incident()).startswith("mailed by")
    assert parseaddr(str(box.received[0].message["To"]))[1] == "who@example.com"


@pytest.mark.parametrize(("notify", "contacts", "says"), [
    ({"smtp": {"host": "mail.example", "from": "a@b", "security": "none"}}, [], "only for a mail server on this machine"),
    ({"smtp": {"host": "mail.example", "from": "a@b\nBcc: c@d"}}, [], "from is no mail address"),
    ({"smtp": {"host": "mail.example", "from": "a@b", "user": "u"}}, [], "go together"),
    ({"webhooks": {"chat": {"url": "http://chat.example/x"}}}, [], "must be https"),
    ({"webhooks": {"chat": {"url": "https://u:p@chat.example/x"}}}, [], "has a user in it"),
    ({"webhooks": {"chat": {}}}, [], "either url or url-file"),
    ({}, [CHAT], "names webhook 'chat'"),
])  # fmt: skip
def test_settings_that_can_not_be_meant(tmp_path, notify, contacts, says):
    with pytest.raises(UsageError, match=says):
        configured(tmp_path, contacts, **notify)


def test_a_webhook_behind_a_proxy_is_verified_by_its_own_name(webhook, tmp_path, monkeypatch):
    sink = webhook(tls=True)
    hook = {"url": "https://chat.example/x", "ca-file": str(sink.ca)}
    with Proxy("http", ("127.0.0.1", sink.port)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(UndeliveredError, match=r"certificate of chat\.example is not trusted"):
            Messenger(configured(tmp_path, [CHAT], webhooks={"chat": hook}), StepClock()).send([], "x", incident())
        assert proxy.asked == [("chat.example", 443)]
    assert sink.requests == []
