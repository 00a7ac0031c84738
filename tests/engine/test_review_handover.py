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
