"""Closing: refused while something is half done, with its name; done with a reason on record; never at the cost of a pod."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from irkit.app import incidents
from irkit.app.closing import close
from irkit.app.lift import lift
from irkit.app.respond import respond
from irkit.errors import Declined, EndStateError, EvidenceError, UndeliveredError, UsageError
from irkit.model.incident import Incident
from irkit.settings.notify import Contact
from tests.engine.harness import bench


class Deaf:
    def send(self, to: Sequence[str], message: str, incident: Incident) -> str:
        raise UndeliveredError("no answer")


def test_what_is_in_force_keeps_it_open_until_somebody_says_what_becomes_of_it(tmp_path):
    with bench(tmp_path) as b:
        respond(b.ports, b.request())
        with pytest.raises(EndStateError) as caught:
            close(b.ports, None)
        assert "2 things left" in caught.value.message
        assert "still cut off, and nobody has said what becomes of it" in caught.value.message
        assert "still in force: scale Deployment todo-app/backend" in caught.value.message
        assert "--anyway REASON" in caught.value.next
        assert len(incidents.show(b.ports.settings, None)["left"]) == 2
        lift(b.ports, None, "keep")
        writes = len(b.writes())
        closed = close(b.ports, None)
        assert (closed.exit_code, closed.outcome) == (0, "closed")
        assert len([w for w in b.writes()[writes:] if w["objectRef"].get("resource") not in ("leases", "configmaps")]) == 0
        assert b.state().status == "closed"
        assert close(b.ports, closed.incident).outcome == "closed"  # twice is once
        shown = incidents.show(b.ports.settings, None)
        assert (shown["status"], shown["left"], shown["closed"]["by"]) == ("closed", [], "oncall@example.com")
        with pytest.raises(UsageError):
            close(b.ports, None)


def test_steps_that_did_not_end_well_and_people_who_were_not_told(tmp_path):
    with bench(tmp_path) as b:
        b.approver.answers = [True, False]  # not the scale-down
        ports = msgspec.structs.replace(b.ports, notifier=Deaf(), settings=msgspec.structs.replace(b.ports.settings, contacts=(Contact("a", "a@b"),)))
        respond(ports, b.request())
        with pytest.raises(EndStateError) as caught:
            close(ports, None)
        assert "step stop-workload (containment): declined by script" in caught.value.message
        assert "step tell-people (containment): not done" in caught.value.message


def test_a_reason_closes_it_anyway_and_what_was_left_is_on_record(tmp_path):
    with bench(tmp_path) as b:
        respond(b.ports, b.request())
        document = close(b.ports, None, anyway="the cluster is torn down")
        assert document.exit_code == 0
        shown = incidents.show(b.ports.settings, None)
        assert shown["status"] == "closed anyway"
        assert shown["closed"]["reason"] == "the cluster is torn down"
        assert len(shown["closed"]["left"]) == 2
        assert "all the same?" in b.approver.asked[-1]
        assert lift(b.ports, document.incident, "keep").exit_code == 0  # what is in force can still be taken back


def test_declined_changes_nothing(tmp_path):
    with bench(tmp_path) as b:
        respond(b.ports, b.request())
        before = b.lines()
        b.approver.answers = [True, True, False]
        with pytest.raises(Declined):
            close(b.ports, None, anyway="x")
        assert b.lines() == before


def test_evidence_that_is_not_as_it_was_sealed_is_its_own_exit_code(tmp_path):
    with bench(tmp_path) as b:
        result = respond(b.ports, b.request())
        lift(b.ports, None, "keep")
        assert result.evidence
        assert result.evidence.bundle
        with (Path(result.evidence.bundle) / "contents.json").open("a") as file:
            file.write(" ")
        with pytest.raises(EvidenceError, match="bag 1 is not as it was sealed") as caught:
            close(b.ports, None)
        assert caught.value.exit_code == 6


def test_what_no_longer_holds_keeps_it_open(tmp_path):
    with bench(tmp_path) as b:
        respond(b.ports, b.request())
        lift(b.ports, None, "keep")
        pod = b.state().incident.target.pod
        b.ports.cluster.patch(pod, {"metadata": {"labels": {"quarantine": None, "app": "backend"}}})
        with pytest.raises(EndStateError, match="does not hold"):
            close(b.ports, None)
