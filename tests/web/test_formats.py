"""What sources send, as their projects document it; and what strangers send in their place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irkit.errors import UsageError
from irkit.listeners.web.formats import FORMATS, Reader, generic, reading
from irkit.model.alert import LEVELS, Alert
from irkit.settings.serve import MappingSettings
from tests.web.desk import TOKEN, World, configured, firing, serving, token_settings

DATA = Path(__file__).with_name("data")
MAPPING = MappingSettings(
    alerts="/events", fields={"name": "/rule/title", "severity": "/prio", "namespace": "/where/0", "pod": "/where/1", "summary": "/a~1b",
    "at": "/at"},
    labels={"team": "/team"}, severities={"P1": "critical"},
)  # fmt: skip


def read(format: str, file: str) -> Sequence[Alert]:
    return FORMATS[format]("the-source", (DATA / f"{file}.json").read_bytes())


def test_falco_names_rule_pod_and_priority() -> None:
    (alert,) = read("falco", "falco")
    assert (alert.name, alert.severity, alert.subject) == ("Terminal shell in container", "low", "default/alpine")
    assert (alert.labels["proc.name"], alert.labels["tags"]) == ("sh", "T1059,container,mitre_execution,shell")
    assert alert.summary.startswith("22:09:57.827858816: Notice A shell was spawned")


def test_falcosidekick_is_the_same_with_an_id() -> None:
    (alert,) = read("falco", "falcosidekick")
    assert (alert.severity, alert.subject, alert.node) == ("critical", "shop/web-6b7f9c5d4-x2x9k", "node-3")
    assert alert.fingerprint == "7e4d1a2c-5c0e-4b38-9c43-1d4f7a6a3c11"


def test_alertmanager_has_several_alerts_of_which_resolved_ones_are_none() -> None:
    crashing, deployment = read("alertmanager", "alertmanager")
    assert (crashing.subject, crashing.severity) == ("todo-app/backend-7c7c86686d-7l8d8", "medium"), "not kube-state-metrics"
    assert (crashing.summary, crashing.fingerprint) == ("Pod is crash looping.", "1a30ba71cca2921f")
    assert (deployment.pod, deployment.workload, deployment.severity) == ("", "deployment/backend", "critical")


def test_trivy_reports_are_about_a_workload() -> None:
    (alert,) = read("trivy", "trivy")
    assert (alert.name, alert.severity, alert.subject) == ("VulnerabilityReport", "critical", "default/replicaset/nginx-6d4cf56db6")
    assert alert.summary == "VulnerabilityReport: 2 critical findings in library/nginx:1.16 (CVE-2019-20367, CVE-2018-25009)"


def test_trivy_reports_may_have_no_kind_and_those_that_are_deleted_are_none() -> None:
    (alert,) = read("trivy", "trivy-secret")
    assert (alert.name, alert.severity, alert.pod) == ("ExposedSecretReport", "high", "app")
    assert read("trivy", "trivy-deleted") == []


def test_an_audit_event_is_named_by_verb_and_resource_and_tells_nothing_of_what_was_answered() -> None:
    execed, secret = read("kubernetes-audit", "kubernetes-audit")
    assert (execed.name, execed.subject, execed.severity) == ("create pods/exec", "todo-app/backend-7c7c86686d-7l8d8", "unknown")
    assert (execed.labels["user"], execed.labels["code"]) == ("kubernetes-admin", "101")
    assert (secret.name, secret.pod, secret.labels["name"]) == ("get secrets", "", "backend-secret")
    assert b"aHVudGVyMg" not in msgspec.json.encode(secret)


def test_any_json_is_read_by_pointers() -> None:
    event = {"rule": {"title": "Shell"}, "prio": "P1", "where": ["shop", "web-0"], "a/b": "seen", "team": "shop", "at": 17}
    found = generic.read("own", json.dumps({"events": [event, {**event, "prio": "warning", "where": {"0": "x"}, "team": {}}]}).encode(), MAPPING)
    assert [(a.name, a.severity, a.subject, a.summary, a.labels) for a in found] == [
        ("Shell", "critical", "shop/web-0", "seen", {"team": "shop"}), ("Shell", "medium", "x", "seen", {})]  # fmt: skip


@pytest.mark.parametrize(("found", "pointer", "there"), [
    ({"a": [1, {"b": 2}]}, "/a/1/b", 2), ({"a": [1]}, "/a/1", None), ({"a": [1]}, "/a/-1", None), ({"a": [1]}, "/a/²", None), ({"": {"": 3}},
    "//", 3),
    ({"~1": 4}, "/~01", 4), ("text", "/0", None), ({"a": [1]}, "/a/" + "9" * 5000, None),
])  # fmt: skip
def test_a_pointer_finds_what_rfc_6901_says_or_nothing(found: object, pointer: str, there: object) -> None:
    assert generic.pointed(found, pointer) == there


READERS: dict[str, Reader] = {**FORMATS, "json": lambda name, body: generic.read(name, body, MAPPING)}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


def sound(alerts: Sequence[Alert]) -> None:
    """What holds for every alert, whoever made it."""
    for alert in alerts:
        assert alert.severity in LEVELS
        assert all(len(text) <= reading.SUMMARY for text in (alert.name, alert.summary, alert.at, *alert.labels.values()))
        assert len(alert.labels) <= reading.MOST_LABELS + 2
        assert all(reading.named(name) == name for name in (alert.namespace, alert.pod, alert.node))


def judged(format: str, body: bytes) -> None:
    said = ""
    try:
        sound(READERS[format]("source", body))
    except UsageError as error:
        said = error.message
    assert "\n" not in said
    assert len(said) < 400
    assert said.isprintable()


@pytest.mark.parametrize("format", READERS)
@settings(max_examples=150, deadline=None)
@given(body=st.binary(max_size=300) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_alerts_or_one_sentence(format: str, body: bytes) -> None:
    judged(format, body)


@st.composite
def spoilt(draw: st.DrawFn, file: str) -> bytes:
    """A real message with some of its values exchanged."""
    found = json.loads((DATA / file).read_text())
    for _ in range(draw(st.integers(1, 4))):
        place: Any = found
        while isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw(st.sampled_from(keys))
            if not isinstance(place[key], dict | list) or draw(st.booleans()):
                place[key] = draw(json_values | st.sampled_from(["\x1b[31m", "<!channel>", "../..", "a" * 40_000, "\u202e", "\ud800", 10**300, -0.0]))
                break
            place = place[key]
    return json.dumps(found).encode()


FILES = [("falco", "falco.json"), ("falco", "falcosidekick.json"), ("alertmanager", "alertmanager.json"), ("trivy", "trivy.json"),
         ("trivy", "trivy-secret.json"), ("kubernetes-audit", "kubernetes-audit.json")]  # fmt: skip


@pytest.mark.parametrize(("format", "file"), FILES)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_message_with_strange_values_is_alerts_or_one_sentence(format: str, file: str, data: st.DataObject) -> None:
    judged(format, data.draw(spoilt(file)))


HOSTILE = {
    "deep": b"[" * 200_000, "deep-closed": b"[" * 100_000 + b"]" * 100_000, "deep-object": b'{"a":' * 100_000, "nan": b'{"rule": NaN}',
    "inf": b'{"rule": 1e999}',
    "digits": b'{"rule": "x", "priority": "y", "output_fields": {"a": ' + b"9" * 100_000 + b"}}", "empty": b"", "null": b"null",
    "half": b'{"rule": "x',
    "utf8": b'{"rule": "\xff\xfe"}', "surrogate": rb'{"rule": "\ud800", "priority": "x"}', "bom": b"\xef\xbb\xbf{}",
    "twice": b'{"rule":"a","rule":5}',
    "text": b'"' + b"x" * 40_000 + b'"', "many": b'{"version":"4","alerts":[' + b",".join([b'{"status":"firing","labels":{}}'] * 20_000) + b"]}",
}  # fmt: skip


@pytest.mark.parametrize("format", READERS)
@pytest.mark.parametrize("body", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_bodies_are_alerts_or_one_sentence(format: str, body: bytes) -> None:
    judged(format, body)


def test_hostile_bodies_are_answered_over_the_wire(tmp_path: Path) -> None:
    with serving(World(configured(tmp_path, sources={f: token_settings(format=f) for f in FORMATS}))) as server:
        for source in FORMATS:
            for body in HOSTILE.values():
                answer = server.post(source, body)
                assert answer.status in (200, 400)
                assert set(answer.document) & {"error", "ignored"}
        assert server.world.held == []
        assert all(len(line) < 2000 for line in server.world.log.getvalue().splitlines())


def test_forty_kilobytes_of_text_are_cut_and_shown_as_one_line(tmp_path: Path) -> None:
    with serving(World(configured(tmp_path))) as server:
        message = firing()
        message["alerts"][0]["annotations"]["summary"] = "\x1b[31m<!channel> \u202e" + "x" * 40_000
        assert server.post("am", message, {"Authorization": f"Bearer {TOKEN}"}).status == 202
        (held,) = server.world.held
        assert len(held.order.because) < 350
        assert held.order.because.isprintable()


def test_of_tens_of_thousands_of_alerts_500_are_made_and_the_others_counted() -> None:
    firing = {"version": "4", "alerts": [{"status": "firing", "labels": {}}] * 20_000}
    events = {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": [{"stage": "Panic", "verb": "get", "objectRef": {}}] * 20_000}
    own = {"events": [{"rule": {"title": "x"}}] * 20_000}
    for name, message in (("alertmanager", firing), ("kubernetes-audit", events), ("json", own)):
        found = READERS[name]("the-source", json.dumps(message).encode())
        assert (len(found), found.left) == (500, 19_500)
