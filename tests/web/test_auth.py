"""Who sends: forged, expired, replayed and missing proofs are 401, with a sentence and a line in the log, and never an act."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irkit.adapters.webhook import signature
from irkit.errors import UsageError
from irkit.listeners.web.auth import Unauthenticated, scheme
from irkit.model.http import Head
from irkit.settings import load
from irkit.settings.serve import HmacSettings, SourceSettings
from tests.clocks import StepClock
from tests.web.desk import TOKEN, Server, World, configured, firing, serving, token_settings

KEY = b"a key of enough bytes, which two sides know"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_bytes(KEY + b"\n")
    return file


@pytest.fixture
def server(tmp_path: Path, key: Path) -> Iterator[Server]:
    other = tmp_path / "other-key"
    other.write_bytes(b"the key before this one, still believed")
    sources = {
        "am": token_settings(format="alertmanager"),
        "signed": {"format": "alertmanager", "hmac": {"secret-files": [str(key), str(other)]}},
        "apart": {"format": "alertmanager", "hmac": {"secret-files": [str(key)], "header": "X-Signature", "timestamp-header": "X-Time"}},
    }
    with serving(World(configured(tmp_path, sources=sources))) as started:
        yield started


def now(server: Server) -> int:
    return int(server.world.clock.now().timestamp())


def signed(server: Server, document: object, at: int | None = None, key: bytes = KEY) -> dict[str, str]:
    return {"Irkit-Signature": signature(key, json.dumps(document).encode(), now(server) if at is None else at)}


def refused(server: Server, why: str) -> None:
    line = server.world.lines[-1]
    assert (line["result"], line["status"], line["level"]) == ("unauthenticated", 401, "warning")
    assert why in line["why"]
    assert server.world.held == []


@pytest.mark.parametrize(("header", "why"), [
    ("", "takes a bearer token"), ("Bearer", "takes a bearer token"), (f"Basic {TOKEN}", "takes a bearer token"), ("Bearer wrong", "no source has"),
    (f"Bearer {TOKEN[:-1]}", "no source has"), (f"Bearer {TOKEN}x", "no source has"),
    (f"Bearer {hashlib.sha256(TOKEN.encode()).hexdigest()}", "no source has"),
])  # fmt: skip
def test_a_token_that_is_missing_or_wrong(server: Server, header: str, why: str) -> None:
    answer = server.post("am", firing(), {"Authorization": header} if header else {})
    assert answer.status == 401
    assert why in answer.document["error"]
    refused(server, why)
    assert 'irkit_webhook_requests_total{source="am",result="unauthenticated"} 1' in server.ask("GET", "/metrics").text


def test_a_token_is_never_shown(server: Server) -> None:
    server.post("am", firing(), {"Authorization": "Bearer my-secret-of-another-system"})
    server.post("am", firing())
    log = server.world.log.getvalue()
    assert "my-secret" not in log
    assert TOKEN not in log


def test_a_signature_counts_in_both_forms_and_by_either_key(server: Server) -> None:
    assert server.post("signed", firing("a"), signed(server, firing("a"))).status == 202
    assert server.post("signed", firing("b"), signed(server, firing("b"), key=b"the key before this one, still believed")).status == 202
    body = json.dumps(firing("c")).encode()
    digest = hmac.new(KEY, b"%d." % now(server) + body, hashlib.sha256).hexdigest()
    assert server.post("apart", firing("c"), {"X-Signature": f"sha256={digest}", "X-Time": str(now(server))}).status == 202
    assert server.post("apart", firing("d"), {"X-Signature": digest, "X-Time": str(now(server))}).status == 401


@pytest.mark.parametrize("ago", [-301, 301, 10**9])
def test_a_signature_of_another_time_is_expired(server: Server, ago: int) -> None:
    answer = server.post("signed", firing(), signed(server, firing(), at=now(server) - ago))
    assert answer.status == 401
    refused(server, "more than 300 s from now here; compare the clocks")


def test_a_forged_signature(server: Server) -> None:
    for headers in (
        {},
        {"Irkit-Signature": "x"},
        {"Irkit-Signature": f"t={now(server)},v1={'0' * 64}"},
        signed(server, firing(), key=b"some other key"),
    ):
        assert server.post("signed", firing(), headers).status == 401
    assert server.post("signed", firing("another-pod"), signed(server, firing())).status == 401, "a signature of another body"
    refused(server, "not that of this body and time")


def test_the_same_message_twice_is_refused(server: Server) -> None:
    headers = signed(server, firing())
    assert server.post("signed", firing(), headers).status == 202
    again = server.post("signed", firing(), headers)
    assert (again.status, again.document) == (401, {"error": "this message came before: a signature counts once"})
    assert len(server.world.held) == 1


def test_what_was_not_taken_may_come_again(tmp_path: Path, key: Path) -> None:
    sources = {"signed": {"format": "alertmanager", "hmac": {"secret-files": [str(key)]}}}
    world = World(configured(tmp_path, sources=sources, orders={"most-open": 1}))
    with serving(world) as server:
        assert server.post("signed", firing("a"), signed(server, firing("a"))).status == 202
        headers = signed(server, firing("b"))
        assert [server.post("signed", firing("b"), headers).status for _ in range(2)] == [503, 503]
        world.queue.remove(world.held[0])
        assert isinstance(world.clock, StepClock)
        world.clock.sleep(2.0)
        assert server.post("signed", firing("b"), headers).status == 202
        assert server.post("signed", firing("b"), headers).status == 401


def test_signatures_are_remembered_within_bounds(key: Path) -> None:
    clock = StepClock()
    settings = SourceSettings(format="alertmanager", hmac=HmacSettings(secret_files=(key,), tolerance=10.0), rate=1.0, burst=5)
    found = scheme("signed", settings, clock)

    def send(text: bytes) -> None:
        found.body(Head("POST", "/", {"irkit-signature": signature(KEY, text, int(clock.now().timestamp()))}, "peer"), text)

    for number in range(26):
        send(b"%d" % number)
    with pytest.raises(Unauthenticated, match="can't be told from a repetition"):
        send(b"26")
    clock.sleep(30.0)
    send(b"27")


@settings(max_examples=200, deadline=None)
@given(value=st.text(max_size=200), time=st.text(max_size=40))
def test_no_header_is_more_than_refused(value: str, time: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "key"
    file.write_bytes(KEY)
    for header in ("", "X-Time"):
        source = SourceSettings(format="falco", hmac=HmacSettings(secret_files=(file,), timestamp_header=header))
        with pytest.raises(Unauthenticated):
            scheme("x", source, StepClock()).body(Head("POST", "/", {"irkit-signature": value, "x-time": time}, "p"), b"")


def test_secrets_that_cannot_be_used_are_one_sentence(tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.write_bytes(b"short\n")
    for file, why in ((tmp_path / "none", "can't be read: No such file"), (short, "is shorter than 16 bytes")):
        with pytest.raises(UsageError, match=why) as caught:
            World(configured(tmp_path, sources={"s": {"format": "falco", "hmac": {"secret-files": [str(file)]}}}))
        assert "serve.sources.s" in caught.value.message


@pytest.mark.parametrize(("source", "why"), [
    ({"format": "falco"}, "one of hmac, bearer and mtls"),
    ({"format": "falco", "bearer": {"tokens": {"a": "the-token-itself"}}}, "not given as its SHA-256"),
    ({"format": "falco", "bearer": {"tokens": {}}}, "tokens is empty"),
    ({"format": "falco", "mtls": {"names": ["CN=a"]}}, "tls.client-ca names no authority"),
    ({"format": "falco", "mtls": {"names": []}}, "names is empty"),
    ({"format": "falco", "mtls": {"names": ["anybody"]}}, "is none of CN="),
    ({"format": "falco", "hmac": {"secret-files": []}}, "names no file"),
    ({"format": "falco", "hmac": {"secret-files": ["x"], "header": "a b"}}, "no name of a header"),
    ({"format": "json", **token_settings()}, "format json has a mapping"),
    ({"format": "json", **token_settings(), "mapping": {"fields": {"name": "x"}}}, "no JSON pointer"),
    ({"format": "json", **token_settings(), "mapping": {"fields": {"pod": "/x"}}}, "no pointer to the name"),
    ({"format": "json", **token_settings(), "mapping": {"fields": {"name": "/x", "nam": "/x"}}}, "known are name"),
])  # fmt: skip
def test_a_source_that_is_set_up_wrong_is_one_sentence(tmp_path: Path, source: dict[str, object], why: str) -> None:
    config = tmp_path / "irkit.yaml"
    config.write_text(json.dumps({"serve": {"sources": {"s": source}}}))
    with pytest.raises(UsageError, match=why) as caught:
        load({"IRKIT_CONFIG": str(config), "HOME": str(tmp_path)})
    assert "the-token-itself" not in caught.value.message


def test_rates_are_limited_by_source_and_by_address(tmp_path: Path) -> None:
    sources = {"am": token_settings(format="alertmanager", rate=1.0, burst=2), "other": token_settings(format="alertmanager")}
    world = World(configured(tmp_path, sources=sources, peer_rate=2.0, peer_burst=5))
    with serving(world) as server:
        answers = [server.post("am", firing()) for _ in range(3)]
        assert [a.status for a in answers] == [202, 200, 429]
        assert answers[2].headers["retry-after"] == "1"
        assert [server.post("other", firing(), {}).status for _ in range(3)] == [401, 401, 429], "the address is limited before anybody is believed"
        assert isinstance(world.clock, StepClock)
        world.clock.sleep(10.0)
        assert server.post("am", firing()).status == 200
        assert world.lines[-2]["result"] == "limited"


def test_who_is_not_believed_takes_nothing_from_the_source(tmp_path: Path) -> None:
    world = World(configured(tmp_path, sources={"am": token_settings(format="alertmanager", rate=1.0, burst=1)}))
    with serving(world) as server:
        for _ in range(20):
            server.post("am", firing(), {"Authorization": "Bearer wrong"})
        assert server.post("am", firing()).status == 202


def test_a_stranger_learns_no_name_of_a_source(server: Server) -> None:
    answer = server.post("signe", firing(), {})
    assert (answer.status, answer.document) == (404, {"error": "there is no such page, and no source of that name"})


def test_a_compressed_body_is_refused_in_one_sentence(server: Server) -> None:
    answer = server.post("am", b"\x1f\x8b", {"Authorization": f"Bearer {TOKEN}", "Content-Encoding": "gzip"})
    assert (answer.status, answer.document) == (415, {"error": "compressed bodies are not read"})
