"""Copies of journals in irkit-system: believed only where whoever wrote them has the key, and only as far as they had come."""

from __future__ import annotations

import base64
import gzip
import json
import traceback
from pathlib import Path
from typing import Any

import msgspec
import pytest

from irkit.app import incidents
from irkit.app import lift as lifting
from irkit.app.going_on import resume
from irkit.app.respond import respond
from irkit.engine import copies, handover, journal, signing
from irkit.engine.events import Said
from irkit.engine.holder import lease_of
from irkit.engine.home import Home
from irkit.errors import EvidenceError, ForbiddenError, RefusedError, UsageError
from irkit.model.kube import CONFIGMAPS, PODS, SECRETS, Obj, ObjectRef
from irkit.model.record import Extended, Ran
from tests.engine.harness import Bench, bench
from tests.engine.test_review_handover import elsewhere, shared


def signed(b: Bench) -> None:
    shared(b)
    signing.create(b.ports.cluster)


def contained(b: Bench) -> str:
    """The incident."""
    first = respond(b.ports, b.request()).incident
    assert first
    return first


def copy_of(b: Bench, identifier: str) -> Obj:
    return b.ports.cluster.get(copies.ref_of(identifier))


def put_back(b: Bench, old: Obj) -> None:
    """As somebody who may write ConfigMaps and had a look before."""
    ref = ObjectRef(resource=CONFIGMAPS, name=old["metadata"]["name"], namespace="irkit-system")
    b.ports.cluster.patch(ref, {"binaryData": old["binaryData"], "data": old["data"]})


def said(b: Bench) -> str:
    return "\n".join(e.text for e in b.events if isinstance(e, Said))


class NoSecrets:
    """A cluster whose Secrets this user may not read."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    def get(self, ref: ObjectRef, **more: Any) -> Obj:
        if ref.resource == SECRETS:
            raise ForbiddenError(f"secrets {ref.name} is forbidden")
        found: Obj = self._cluster.get(ref, **more)
        return found


def test_a_colleague_goes_on_from_a_copy_that_is_signed(tmp_path):
    with bench(tmp_path) as b:
        signed(b)
        first = contained(b)
        assert len(copy_of(b, first)["data"]["signature"]) == 64
        assert lifting.lift(elsewhere(b, tmp_path), first, "keep").exit_code == 0
        assert "not signed" not in said(b)
        assert resume(b.ports, first).incident == first
        assert b.state().closed, "what the colleague did came back"


def test_without_a_key_it_works_and_is_said(tmp_path):
    with bench(tmp_path) as b:
        shared(b)
        first = contained(b)
        assert copy_of(b, first)["data"]["signature"] == ""
        assert lifting.lift(elsewhere(b, tmp_path), first, "keep").exit_code == 0
        assert "are not signed" in said(b)


def forged(b: Bench, identifier: str, how: str) -> None:
    found = copy_of(b, identifier)
    lines = gzip.decompress(base64.b64decode(found["binaryData"]["journal.jsonl.gz"])).replace(b'"resume"', b'"resumf"')
    data = dict(found["data"])
    if how == "own journal, chained right":
        path = Path(b.home) / "forged.jsonl"
        path.write_bytes(lines)
        mine = journal.Journal(path, b.ports.clock)
        mine.append(Ran(run="eve", event="start", command="resume"))
        mine.close()
        lines = path.read_bytes()
    if how in ("own journal, chained right", "signed with another key"):
        seal = msgspec.json.decode(data["seal.json"], type=copies.Seal)
        seal = msgspec.structs.replace(seal, lines=lines.count(b"\n"), sha256=copies.digest(lines))
        data |= {"seal.json": seal.signed().decode(), "signature": signing.Keys(b"e" * 32).sign("irkit.dev/journal-copy/v1", seal.signed())}
    if how == "no signature":
        data |= {"signature": "", "seal.json": ""}
    if how == "another seal":
        data["seal.json"] = json.dumps({**json.loads(data["seal.json"]), "lines": 1})
    if how == "not ASCII":
        data["signature"] = "é" * 64
    if how == "other content under the same seal":
        path = Path(b.home) / "shorter.jsonl"
        path.write_bytes(b"".join(line + b"\n" for line in lines.split(b"\n")[:-3]))
        lines = path.read_bytes()
    put_back(b, {**found, "data": data, "binaryData": {"journal.jsonl.gz": base64.b64encode(gzip.compress(lines)).decode()}})


FORGERIES = (
    "own journal, chained right", "signed with another key", "no signature", "another seal", "not ASCII", "other content under the same seal",
)  # fmt: skip


@pytest.mark.parametrize("how", FORGERIES)
def test_who_may_write_configmaps_alone_can_not_forge_one(tmp_path, how):
    with bench(tmp_path) as b:
        signed(b)
        first = contained(b)
        forged(b, first, how)
        there = elsewhere(b, tmp_path)
        before = b.writes()
        with pytest.raises(EvidenceError, match=r"not signed with a key|not what its signature is for") as caught:
            resume(there, first)
        assert caught.value.exit_code == 6
        assert Home(tmp_path / "colleague").ids() == [], "nothing was taken over"
        assert b.writes() == before
        assert resume(b.ports, first).exit_code == 0, "who has the incident is not stopped by it"
        assert "was taken over" in said(b)
        assert resume(there, first).incident == first, "and has written a right copy again"


def test_an_older_copy_is_refused_where_the_newer_was_seen(tmp_path):
    with bench(tmp_path) as b:
        signed(b)
        first = contained(b)
        old = copy_of(b, first)
        assert lifting.lift(b.ports, first, "keep").exit_code == 0
        put_back(b, old)
        with pytest.raises(RefusedError, match=r"was set back: it has \d+ lines, and had \d+") as caught:
            resume(elsewhere(b, tmp_path), first)
        assert caught.value.exit_code == 8
        assert Home(tmp_path / "colleague").ids() == []
        assert resume(b.ports, first).incident == first, "here the longer journal is known"


def test_what_a_colleague_did_is_missed_where_the_copy_was_set_back(tmp_path):
    with bench(tmp_path) as b:
        signed(b)
        first = contained(b)
        old = copy_of(b, first)
        assert lifting.lift(elsewhere(b, tmp_path), first, "keep").exit_code == 0
        put_back(b, old)
        assert copy_of(b, first)["data"]["signature"], "it is a genuine one"
        forged_lease = [{"copy.irkit.dev/" + first.rpartition("-")[2]: value} for value in ("1 0", "é", "99999999999 x", "")]
        lease = lease_of(b.state().incident)
        kept = b.ports.cluster.get(lease)["metadata"]["annotations"]
        with pytest.raises(RefusedError, match="was set back"):
            resume(b.ports, first)
        for annotations in forged_lease:  # who may write Leases, too, can hide it: the limit that docs/reference/state.md names
            b.ports.cluster.patch(lease, {"metadata": {"annotations": annotations}})
            assert handover.look(b.ports.cluster, first)[0].incident.id == first
        b.ports.cluster.patch(lease, {"metadata": {"annotations": kept}})
        with pytest.raises(RefusedError, match="was set back"):
            handover.look(b.ports.cluster, first)


def test_a_copy_of_another_incident_or_cluster_is_not_this_ones(tmp_path):
    with bench(tmp_path) as b:
        signed(b)
        keys = signing.keys(b.ports.cluster)
        assert keys
        first = contained(b)
        found = copy_of(b, first)
        asked = "20261122T031502Z-backend-k7q2mx"
        meta = {"name": copies.ref_of(asked).name, "namespace": "irkit-system"}
        b.ports.cluster.create(CONFIGMAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta,
                                            "data": found["data"], "binaryData": found["binaryData"]})  # fmt: skip
        with pytest.raises(EvidenceError, match="of another incident"):
            resume(elsewhere(b, tmp_path), asked)
        seal = msgspec.structs.replace(msgspec.json.decode(found["data"]["seal.json"], type=copies.Seal), cluster="another")
        signature = keys.sign("irkit.dev/journal-copy/v1", seal.signed())
        put_back(b, {**found, "data": {**found["data"], "seal.json": seal.signed().decode(), "signature": signature}})
        with pytest.raises(EvidenceError, match="not what its signature is for"):
            resume(elsewhere(b, tmp_path), first)


def test_the_key_is_changed_while_an_incident_is_open(tmp_path):
    with bench(tmp_path) as b:
        signed(b)
        first = contained(b)
        signing.rotate(b.ports.cluster)
        assert handover.look(b.ports.cluster, first)[0].incident.id == first, "what the last key signed stays good"
        signing.rotate(b.ports.cluster)
        with pytest.raises(EvidenceError, match="not signed"):
            handover.look(b.ports.cluster, first)
        assert resume(b.ports, first).exit_code == 0
        assert handover.look(b.ports.cluster, first)[0].incident.id == first, "the next run signs anew"


def test_who_may_not_read_the_key_believes_nothing_and_writes_nothing(tmp_path):
    with bench(tmp_path) as b:
        signed(b)
        first = contained(b)
        was = copy_of(b, first)
        blind = msgspec.structs.replace(b.ports, cluster=NoSecrets(b.ports.cluster))
        with pytest.raises(ForbiddenError, match="can't be checked"):
            resume(msgspec.structs.replace(elsewhere(b, tmp_path), cluster=blind.cluster), first)
        assert resume(blind, first).exit_code == 0
        assert copy_of(b, first)["binaryData"] == was["binaryData"], "an unsigned copy would be worth nothing"
        assert "can't be signed: secrets irkit-signing is forbidden" in said(b)


def test_a_listener_sees_what_there_is_not_checked(tmp_path):
    """It may not read the key: its list is good to know, and marked; nothing is taken over by it."""
    with bench(tmp_path) as b:
        signed(b)
        first = respond(b.ports, b.request()).incident
        assert [(i["id"], i["signed"]) for i in incidents.shared(b.ports.cluster)] == [(first, True)]
        blind: Any = NoSecrets(b.ports.cluster)
        assert [(i["id"], i["signed"]) for i in incidents.shared(blind)] == [(first, False)]
        with pytest.raises(ForbiddenError, match="can't be checked"):
            handover.look(blind, str(first))


@pytest.mark.parametrize("data", [{}, {"current": ""}, {"current": base64.b64encode(b"short").decode()}])
def test_a_secret_without_a_usable_key_fails_closed(tmp_path, data):
    with bench(tmp_path) as b:
        shared(b)
        first = contained(b)
        meta = {"name": "irkit-signing", "namespace": "irkit-system"}
        b.ports.cluster.create(SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data})
        with pytest.raises(RefusedError, match="has no key 'current' of 32 octets or more"):
            resume(elsewhere(b, tmp_path), first)
        assert resume(b.ports, first).exit_code == 0


def test_the_key_leaves_the_secret_nowhere(tmp_path):
    with bench(tmp_path) as b:
        signed(b)
        raw = b.ports.cluster.get(signing.SECRET)["data"]["current"]
        first = contained(b)
        signing.rotate(b.ports.cluster)
        forged(b, first, "no signature")
        try:
            resume(elsewhere(b, tmp_path), first)
        except EvidenceError as error:
            shown = "".join(traceback.format_exception(error)) + repr(signing.keys(b.ports.cluster))
        needles = [raw, base64.b64decode(raw).hex(), repr(base64.b64decode(raw))]
        kept = [p.read_bytes().decode("latin-1") for p in Path(b.home).rglob("*") if p.is_file()]
        told = [str(e) for e in b.events] + [json.dumps(copy_of(b, first)), shown]
        assert not [n for n in needles for text in [*kept, *told] if n in text]


@pytest.mark.parametrize("key", [True, False])
def test_a_journal_too_long_for_one_configmap_is_split_and_read_back(tmp_path, key):
    with bench(tmp_path) as b:
        (signed if key else shared)(b)
        first = contained(b)
        path = Home(b.home).journal(first)
        for size, parts in ((1_200_000, "a2"), (2_500_000, "b4"), (100_000, "")):
            _grow(b, path, size)
            assert handover.publish(b.ports.cluster, b.state(), path, signing.keys(b.ports.cluster))[0] == ""
            found = copy_of(b, first)
            assert found["data"]["parts"][:1] == parts[:1]
            assert copies.read(b.ports.cluster, first).journal == path.read_bytes()
            if parts:  # one part of another time: whole, or refused
                other = copies._part(first, found["data"]["parts"][0], 2)
                b.ports.cluster.patch(other, {"binaryData": {"journal.jsonl.gz": base64.b64encode(b"x").decode()}})
                with pytest.raises(EvidenceError, match="damaged"):
                    handover.look(b.ports.cluster, first)
        _grow(b, path, 12_000_000)
        assert "too long" in handover.publish(b.ports.cluster, b.state(), path, None)[0]


def _grow(b: Bench, path: Path, size: int) -> None:
    """To a journal of about ``size`` octets that do not compress."""
    import random

    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join(lines[:4]) + b"\n")
    mine = journal.Journal(path, b.ports.clock)
    text = base64.b64encode(random.Random(size).randbytes(size)).decode()
    mine.append(Ran(run="long", event="start", command="resume", data={"x": text}), Ran(run="long", event="end", command="resume"))
    mine.close()


def test_hostile_copies_where_nothing_is_signed_are_one_line_each_of_the_list(tmp_path):
    """Whoever may write there may write anything: the list says which can't be read, and goes on."""
    with bench(tmp_path) as b:
        shared(b)
        first = contained(b)
        real = Home(b.home).journal(first).read_bytes()
        path = Path(b.home) / "other.jsonl"
        odd = journal.Journal(path, b.ports.clock)
        odd.append(Extended(run="x", phase="y"), Ran(run="x", event="end", command="resume"))
        odd.close()
        hostile = {
            "zz-extended-aaaaaa": gzip.compress(path.read_bytes()), "zz-junk-bbbbbb": b"junk", "zz-empty-cccccc": gzip.compress(b""),
            "zz-other-dddddd": gzip.compress(real), "zz-bomb-eeeeee": gzip.compress(bytes(70 << 20)), "zz-cut-ffffff": gzip.compress(real)[:500],
            "zz-lines-gggggg": gzip.compress(b"{}\n" * 100),
        }  # fmt: skip
        for name, content in hostile.items():
            meta = {"name": f"irkit-{name}", "namespace": "irkit-system", "labels": {"irkit.dev/incident": "x\u202e"[:1]}}
            data = {"parts": "a9999999999", "seal.json": "[" * 50_000}
            b.ports.cluster.create(CONFIGMAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data,
                                                "binaryData": {"journal.jsonl.gz": base64.b64encode(content).decode()}})  # fmt: skip
        found = incidents.shared(b.ports.cluster)
        assert [i["id"] for i in found if not i["status"].startswith("unreadable: ")] == [first]
        assert {i["id"] for i in found} == {first, *hostile}
        for name in hostile:
            with pytest.raises((EvidenceError, UsageError)):
                resume(elsewhere(b, tmp_path), name)
        assert Home(tmp_path / "colleague").ids() == []


def test_containing_the_same_pod_from_another_machine_joins_the_colleagues_incident(tmp_path):
    with bench(tmp_path) as b:
        signed(b)
        first = respond(b.ports, b.request()).incident
        there = elsewhere(b, tmp_path)
        before = [e for e in b.writes() if e["objectRef"].get("namespace") != "irkit-system"]
        assert respond(there, b.request(dry_run=True)).incident == first
        assert Home(tmp_path / "colleague").ids() == [], "a dry run takes nothing over"
        assert respond(there, b.request()).incident == first
        assert Home(tmp_path / "colleague").ids() == [first]
        assert [e for e in b.writes() if e["objectRef"].get("namespace") != "irkit-system"] == before


def test_a_label_alone_joins_no_incident(tmp_path):
    """Whoever owns the pod may label it with the id of an incident of another one."""
    with bench(tmp_path) as b:
        signed(b)
        first = contained(b)
        namespace, _ = b.box.suspect
        other = next(p for p in b.ports.cluster.list(PODS, namespace) if p["metadata"]["labels"].get("quarantine") != "true")
        ref = ObjectRef(resource=PODS, name=other["metadata"]["name"], namespace=namespace)
        b.ports.cluster.patch(ref, {"metadata": {"labels": {"irkit.dev/incident": first.rpartition("-")[2], "quarantine": "true"}}})
        assert respond(elsewhere(b, tmp_path), b.request(target=ref.name, dry_run=True)).incident != first
