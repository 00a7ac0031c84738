"""Opening an incident from what somebody reported: exact, on record, and shown where people look."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from irkit.app import detection, incidents
from irkit.app.respond import respond
from irkit.errors import UsageError
from irkit.evidence import show
from irkit.model.incident import Reported
from tests.engine.harness import bench

NOW = datetime(2026, 11, 22, 3, 15, tzinfo=UTC)


@pytest.mark.parametrize(("text", "means"), [
    ("2026-11-22T03:00:00Z", "2026-11-22T03:00:00Z"), ("2026-11-22 04:00:00+01:00", "2026-11-22T03:00:00Z"),
    ("2026-11-22T03:00z", "2026-11-22T03:00:00Z"), ("2026-11-21T23:00:00.123456789-04:00", "2026-11-22T03:00:00Z"),
    ("2h ago", "2026-11-22T01:15:00Z"), ("90 min ago", "2026-11-22T01:45:00Z"), ("1d 2h ago", "2026-11-21T01:15:00Z"),
    ("1.5h ago", "2026-11-22T01:45:00Z"), ("0s ago", "2026-11-22T03:15:00Z"), ("2026-11-22T03:19:00Z", "2026-11-22T03:19:00Z"),
])  # fmt: skip
def test_a_moment_is_exact(text, means):
    assert detection.moment(text, NOW) == means


@pytest.mark.parametrize("text", [
    "yesterday", "2026-11-22", "2026-11-22T03:00:00", "03:00Z", "2026-13-22T03:00:00Z", "2026-11-22T25:00:00Z", "-2h ago", "2h", "ago", "999999w ago",
    "2026-11-22T04:00:00Z", "\x1b[31m", "٢h ago", "1e9h ago", " ", "9" * 5000 + "d ago", "2h " * 5000 + "ago",
])  # fmt: skip
def test_what_is_no_moment_is_one_sentence(text):
    with pytest.raises(UsageError, match="--started-at") as caught:
        detection.moment(text, NOW)
    assert len(caught.value.message) < 250
    assert caught.value.message.isprintable()


def test_severities_are_four_and_texts_are_bounded():
    with pytest.raises(UsageError, match="did you mean critical"):
        detection.checked(Reported(severity="critcal"), NOW)
    with pytest.raises(UsageError, match="--summary takes at most 2000 characters, not 2001"):
        detection.checked(Reported(summary="x" * 2001), NOW)


def test_a_report_is_in_the_journal_the_list_the_bag_and_is_added_to_by_joining(tmp_path):
    said = Reported(by="SOC\x1b[2J", summary="odd <b>egress</b>", started_at="2h ago")
    with bench(tmp_path) as b:
        respond(b.ports, b.request(reported=said))
        state = b.state()
        assert (state.incident.reported.by, state.severity) == ("SOC\x1b[2J", "critical")
        assert state.incident.reported.started_at.endswith("Z")
        info = dict(show.contents(b.home / "incidents" / state.incident.id / "bags" / "1").info)
        assert {k: info[f"Irkit-{k}"] for k in ("Reported-By", "Summary", "Severity")} == {
            "Reported-By": "SOC\\x1b[2J", "Summary": "odd <b>egress</b>", "Severity": "critical"}  # fmt: skip
        joined = respond(b.ports, b.request(reported=Reported(severity="low", summary="a false alarm?")))
        assert joined.incident == state.incident.id
        found = incidents.show(b.ports.settings, None)
        assert (found["severity"], found["summary"], found["reportedBy"]) == ("low", "a false alarm?", "SOC\x1b[2J")
        assert [(i["severity"], i["summary"]) for i in incidents.summaries(b.ports.settings)] == [("low", "a false alarm?")]


def test_a_wrong_report_is_refused_before_the_cluster_is_asked(tmp_path):
    with bench(tmp_path) as b:
        asked = len(b.box.audit)
        ports = msgspec.structs.replace(b.ports)
        with pytest.raises(UsageError):
            respond(ports, b.request(reported=Reported(started_at="soon")))
        assert len(b.box.audit) == asked
