"""What two machines share: a Lease whose times are the server's, a copy that is of the incident that it says."""

from __future__ import annotations

import base64
import gzip
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from irkit import wiring
from irkit.app import lift as lifting
from irkit.app.going_on import resume
from irkit.app.respond import respond
from irkit.engine import copies, journal
from irkit.engine.holder import TargetLease
from irkit.engine.home import Home
from irkit.errors import EvidenceError, HeldError, RefusedError, UsageError
from irkit.model.kube import CONFIGMAPS, LEASES, NAMESPACES, ObjectRef
from irkit.model.record import Ran
from tests.engine.harness import Bench, bench


class Ahead:
    """The clock of a machine that is some seconds ahead."""

    def __init__(self, clock: Any, seconds: float) -> None:
        self._clock, self._by = clock, timedelta(seconds=seconds)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)

    def now(self) -> Any:
        return self._clock.now() + self._by


def shared(b: Bench) -> None:
    b.ports.cluster.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "irkit-system"}})


def lease(b: Bench, who: str, ahead: float = 0.0) -> TargetLease:
    return TargetLease(b.ports.cluster, Ahead(b.ports.clock, ahead), "pod", who, f"incident-of-{who}", -ahead)


def holder(b: Bench) -> str:
    found = b.ports.cluster.get(ObjectRef(resource=LEASES, name="irkit-pod", namespace="irkit-system"))
    return str((found["spec"] or {}).get("holderIdentity", ""))


@pytest.mark.parametrize(("one", "other"), [(0, 300), (300, 0), (-300, 300)])
def test_a_lease_holds_on_machines_whose_clocks_differ(tmp_path, one, other):
    with bench(tmp_path) as b:
        shared(b)
        lease(b, "ada", one).acquire()
        with pytest.raises(HeldError, match="ada"):
            lease(b, "bob", other).acquire()


def test_whoever_took_a_lease_over_keeps_it(tmp_path):
    with bench(tmp_path) as b:
        shared(b)
        ada, bob = lease(b, "ada"), lease(b, "bob", 0.0)
        ada.acquire()
        ref = ObjectRef(resource=LEASES, name="irkit-pod", namespace="irkit-system")
        b.ports.cluster.patch(ref, {"spec": {"renewTime": "2020-01-01T00:00:00.000000Z"}})  # ada's machine slept
        bob.acquire()
        ada.release()
        assert holder(b) == "bob"
        bob.release()
        assert holder(b) == ""


def test_a_copy_of_another_incident_writes_nowhere(tmp_path):
    """Its content names the directory that everything later is written to."""
    with bench(tmp_path) as b:
        shared(b)
        real = respond(b.ports, b.request()).incident
        assert real is not None
        journal = Home(b.home).journal(real).read_bytes()
        asked = "20261122T031502Z-backend-k7q2mx"
        data = {"journal.jsonl.gz": base64.b64encode(gzip.compress(journal)).decode()}
        meta = {"name": copies.ref_of(asked).name, "namespace": "irkit-system"}
        b.ports.cluster.create(CONFIGMAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "binaryData": data})
        elsewhere = msgspec.structs.replace(b.ports, settings=msgspec.structs.replace(b.ports.settings, home=tmp_path / "other"))
        with pytest.raises(EvidenceError, match="of another incident"):
            resume(elsewhere, asked)
        assert Home(tmp_path / "other").ids() == []


def elsewhere(b: Bench, tmp_path: Any) -> Any:
    """The ports of a colleague, whose home is another one."""
    settings = msgspec.structs.replace(b.ports.settings, home=tmp_path / "colleague")
    return msgspec.structs.replace(b.ports, settings=settings, evidence=wiring.evidence(settings))


def test_a_colleague_who_was_killed_while_taking_it_over_takes_it_over(tmp_path):
    with bench(tmp_path) as b:
        shared(b)
        first = respond(b.ports, b.request()).incident
        there = elsewhere(b, tmp_path)
        left = tmp_path / "colleague/incidents" / str(first)
        left.mkdir(parents=True)
        (left / "journal.jsonl.new").write_text("{")  # the copy was being written
        assert resume(there, first).incident == first


def test_what_a_colleague_lifted_is_not_contained_again_here(tmp_path):
    with bench(tmp_path) as b:
        shared(b)
        first = respond(b.ports, b.request())
        assert lifting.lift(elsewhere(b, tmp_path), first.incident, "keep").exit_code == 0
        before = [e for e in b.writes() if e["objectRef"].get("namespace") != "irkit-system"]
        with pytest.raises(UsageError, match="anything left"):
            resume(b.ports, None)
        assert resume(b.ports, first.incident).incident == first.incident
        assert [e for e in b.writes() if e["objectRef"].get("namespace") != "irkit-system"] == before
        assert b.state().closed, "what the colleague did is in the journal here, too"


def test_two_machines_that_both_went_on_are_told_so(tmp_path):
    with bench(tmp_path) as b:
        shared(b)
        first = respond(b.ports, b.request())
        assert first.incident
        assert lifting.lift(elsewhere(b, tmp_path), first.incident, "keep").exit_code == 0
        mine = journal.Journal(Home(b.home).journal(first.incident), b.ports.clock)
        mine.append(Ran(run="late", event="start", command="resume"))
        mine.close()
        with pytest.raises(RefusedError, match="on this machine and on another"):
            resume(b.ports, first.incident)


def test_a_copy_that_is_not_ours_changes_nothing(tmp_path):
    with bench(tmp_path) as b:
        shared(b)
        first = respond(b.ports, b.request())
        assert first.incident
        for forged in (b"junk", base64.b64encode(gzip.compress(b"{}\n")), b""):
            b.ports.cluster.patch(copies.ref_of(first.incident), {"binaryData": {"journal.jsonl.gz": base64.b64encode(forged).decode()}})
            assert resume(b.ports, first.incident).exit_code == 0


def unmeasured(b: Bench, who: str, ahead: float, later: float = 0.0) -> TargetLease:
    """On a machine whose clock is wrong, and nobody knows; ``later``: so many seconds from now."""
    return TargetLease(b.ports.cluster, Ahead(b.ports.clock, ahead + later), "pod", who, f"incident-of-{who}", None if ahead else 0.0)


@pytest.mark.parametrize("wrong", [3600, -3600, 5400, -5400])
def test_a_holder_whose_clock_is_an_hour_off_holds_it_as_long_as_any_other(tmp_path, wrong):
    """The server wrote down when it was renewed."""
    with bench(tmp_path) as b:
        shared(b)
        unmeasured(b, "ada", wrong).acquire()
        with pytest.raises(HeldError, match="ada"):
            unmeasured(b, "bob", 0).acquire()
        unmeasured(b, "bob", 0, later=70).acquire()
        assert holder(b) == "bob", "a minute after its holder died it is free, not an hour"


@pytest.mark.parametrize("renewed", ["2099-01-01T00:00:00.000000Z", "1999-01-01T00:00:00.000000Z", "2099-01-01T00:00:00", "never", None])
def test_a_lease_that_irkit_never_wrote_holds_nothing(tmp_path, renewed):
    with bench(tmp_path) as b:
        shared(b)
        lease(b, "ada").acquire()
        ref = ObjectRef(resource=LEASES, name="irkit-pod", namespace="irkit-system")
        b.ports.cluster.patch(ref, {"spec": {"renewTime": renewed, "leaseDurationSeconds": 2147483647}})
        lease(b, "bob").acquire()
        assert holder(b) == "bob"


def test_a_lease_says_for_itself_an_hour_at_most(tmp_path):
    with bench(tmp_path) as b:
        shared(b)
        lease(b, "ada").acquire()
        ref = ObjectRef(resource=LEASES, name="irkit-pod", namespace="irkit-system")
        b.ports.cluster.patch(ref, {"spec": {"leaseDurationSeconds": 2147483647}})
        with pytest.raises(HeldError):
            unmeasured(b, "bob", 0, later=3500).acquire()
        unmeasured(b, "bob", 0, later=3700).acquire()


def test_a_run_that_lost_its_target_stops_and_leaves_the_colleagues_copy_alone(tmp_path):
    """A laptop that slept: its Lease ran out, and a colleague went on."""
    with bench(tmp_path) as b:
        shared(b)
        found: list[Any] = []

        def taken_over() -> None:
            (target,) = b.ports.cluster.list(LEASES, "irkit-system")
            b.ports.cluster.patch(ObjectRef(resource=LEASES, name=target["metadata"]["name"], namespace="irkit-system"),
                                  {"spec": {"holderIdentity": "bob@other"}})  # fmt: skip
            found.append(b.ports.cluster.get(copies.ref_of(b.state().incident.id)))

        b.approver.before[1] = taken_over
        with pytest.raises(HeldError, match="bob@other"):
            respond(b.ports, b.request())
        (was,) = found
        assert b.ports.cluster.get(copies.ref_of(b.state().incident.id))["binaryData"] == was["binaryData"]
        (target,) = b.ports.cluster.list(LEASES, "irkit-system")
        assert target["spec"]["holderIdentity"] == "bob@other", "who has it keeps it"
        assert b.state().unfinished
