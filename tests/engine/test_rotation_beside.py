"""A rotation beside an open containment knows its pod: cut off, kept as evidence, nobody's to restart. By journals, not by labels."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path

import msgspec
import pytest

from irkit import wiring
from irkit.app import lift as lifting
from irkit.app import rotate as rotations
from irkit.app.respond import respond
from irkit.engine import copies, journal
from irkit.engine.events import Planned
from irkit.engine.home import Home
from irkit.engine.kept import Kept
from irkit.engine.result import RunResult
from irkit.model.changes import Capture, Patch
from irkit.model.kube import CONFIGMAPS, DAEMONSETS, NAMESPACES, PODS, Obj, ObjectRef, at, labels_of, ref_of
from irkit.ports import Ports
from tests.engine.harness import Bench, bench
from tests.engine.test_laws import GENERATED


def suspect(b: Bench) -> ObjectRef:
    namespace, name = b.box.suspect
    return ObjectRef(resource=PODS, name=name, namespace=namespace)


def rotate(b: Bench, ports: Ports | None = None, **wish: object) -> RunResult:
    b.events.clear()
    b.approver.secrets["backend-secret/GROQ_API_KEY"] = "gsk_new_vendor_key_for_tests"
    return rotations.rotate(ports or b.ports, msgspec.convert(wish, rotations.Wish), b.request(command="rotate", playbook="", phase=""))


def notes(b: Bench) -> list[str]:
    (planned,) = [e for e in b.events if isinstance(e, Planned)]
    return list(planned.header.warnings)


def left(result: RunResult) -> list[str]:
    return [who for credential in result.credentials for who in credential.get("left", [])]


def kept_line(b: Bench, incident: str | None) -> str:
    return f"not restarted, kept cut off as evidence of incident {incident}: {suspect(b)}"


def elsewhere(b: Bench, tmp_path: Path) -> Ports:
    """The ports of a colleague, whose home is another one."""
    settings = msgspec.structs.replace(b.ports.settings, home=tmp_path / "colleague")
    return msgspec.structs.replace(b.ports, settings=settings, evidence=wiring.evidence(settings))


def shared(b: Bench) -> None:
    b.ports.cluster.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "irkit-system"}})


@pytest.mark.parametrize("scope", ["pod", "workload"])
def test_contain_then_rotate_leaves_the_kept_pod_alone(tmp_path, scope):
    with bench(tmp_path, rotation=GENERATED) as b:
        contained = respond(b.ports, b.request(keep_workload=True))
        before = b.ports.cluster.get(suspect(b))
        result = rotate(b, scope=scope)
        assert result.exit_code == 0, (result.error, left(result))
        assert kept_line(b, contained.incident) in notes(b)
        assert not [n for n in notes(b) if "bare pod" in n]
        assert left(result) == []
        after = b.ports.cluster.get(suspect(b))
        assert (after["metadata"]["uid"], after["spec"], labels_of(after)) == (before["metadata"]["uid"], before["spec"], labels_of(before))
        assert at(after, ("metadata", "deletionTimestamp")) is None
        backend = next(c for c in result.credentials if c["name"].endswith("backend-secret"))
        assert backend["consumers"]["total"] == backend["consumers"]["restarted"] >= 1


def test_after_a_full_containment_the_stopped_workload_starts_with_the_new_values(tmp_path):
    with bench(tmp_path, rotation=GENERATED) as b:
        contained = respond(b.ports, b.request())
        result = rotate(b)
        assert (result.exit_code, left(result)) == (0, [])
        assert lifting.lift(b.ports, None, "keep").exit_code == 0, "the newest with something to lift is the containment"
        assert lifting.lift(b.ports, contained.incident, "return").exit_code == 0


def test_a_rotation_that_is_gone_on_with_knows_it_too(tmp_path):
    with bench(tmp_path, rotation=GENERATED) as b:
        contained = respond(b.ports, b.request())
        b.approver.answers = [True] * len(b.approver.asked) + [False]
        with pytest.raises(Exception, match="nothing was changed"):
            rotate(b)
        b.approver.answers = ()
        assert rotate(b).exit_code == 0
        assert kept_line(b, contained.incident) in notes(b)


def test_a_pod_that_a_lift_kept_cut_off_is_evidence_still(tmp_path):
    with bench(tmp_path, rotation=GENERATED) as b:
        contained = respond(b.ports, b.request())
        assert lifting.lift(b.ports, None, "keep").exit_code == 0
        result = rotate(b)
        assert kept_line(b, contained.incident) in notes(b)
        assert left(result) == []


def test_a_pod_that_is_back_in_service_is_restarted_like_the_others(tmp_path):
    with bench(tmp_path, rotation=GENERATED) as b:
        respond(b.ports, b.request())
        assert lifting.lift(b.ports, None, "return").exit_code == 0
        result = rotate(b)
        assert not [n for n in notes(b) if "evidence of incident" in n]
        assert result.exit_code == 0
        assert suspect(b).name not in {p["metadata"]["name"] for p in b.ports.cluster.list(PODS, "todo-app")}


def test_a_colleagues_containment_is_known_by_its_copy_in_the_cluster(tmp_path):
    with bench(tmp_path, rotation=GENERATED) as b:
        shared(b)
        contained = respond(elsewhere(b, tmp_path), b.request(keep_workload=True))
        result = rotate(b, scope="workload")
        assert kept_line(b, contained.incident) in notes(b)
        assert (result.exit_code, left(result)) == (0, [])
        assert b.state().incident.target.stoppable is not None, "the workload is what the colleague's incident bound"


def test_without_a_copy_a_colleagues_pod_is_a_pod_like_any_other(tmp_path):
    """Nobody vouches for its labels."""
    with bench(tmp_path, rotation=GENERATED) as b:
        respond(elsewhere(b, tmp_path), b.request(keep_workload=True))
        result = rotate(b)
        assert any("goes on with the old value: a bare pod" in n for n in notes(b))
        assert any(str(suspect(b)) in who for who in left(result))


def forge(b: Bench, incident: str, lines: bytes) -> None:
    data = {"journal.jsonl.gz": base64.b64encode(gzip.compress(lines)).decode()}
    b.ports.cluster.patch(copies.ref_of(incident), {"binaryData": data})


def record(body: bytes) -> bytes:
    return b'{"seq":1,"at":"","prev":"%s","body":%s}\n' % (b"0" * 64, body)


@pytest.mark.parametrize("content", [
    b"junk\n{}\n", b"", record(b'{"record":"ran","run":"a","event":"start","command":"contain"}'),
    record(b'{"record":"extended","run":"a","phase":"","parameters":{}}'),
], ids=["junk", "empty", "no-beginning", "extends-nothing"])  # fmt: skip
def test_a_copy_that_is_no_journal_vouches_for_nobody(tmp_path, content):
    with bench(tmp_path, rotation=GENERATED) as b:
        shared(b)
        contained = respond(elsewhere(b, tmp_path), b.request(keep_workload=True)).incident
        assert contained
        forge(b, contained, content)
        rotate(b)
        assert not [n for n in notes(b) if "evidence of incident" in n]


def test_a_copy_of_another_cluster_or_incident_vouches_for_nobody(tmp_path):
    with bench(tmp_path, rotation=GENERATED) as b:
        shared(b)
        colleague = elsewhere(b, tmp_path)
        contained = respond(colleague, b.request(keep_workload=True)).incident
        assert contained
        pod, true = b.ports.cluster.get(suspect(b)), Home(tmp_path / "colleague").journal(contained).read_bytes()
        assert set(Kept(b.ports)([pod]).values()) == {contained}
        uid = b.ports.connection.identify().uid.encode()
        for forged in (true.replace(uid, uid[::-1]), true.replace(contained.encode(), contained.replace("2026", "2025").encode())):
            forge(b, contained, forged)
            assert Kept(b.ports)([pod]) == {}
        b.ports.cluster.delete(copies.ref_of(contained))
        assert Kept(b.ports)([pod]) == {}


def test_a_pod_that_only_says_so_is_not_believed(tmp_path):
    """The attacker gives another pod the labels of the quarantine that there is."""
    with bench(tmp_path, rotation=GENERATED) as b:
        respond(b.ports, b.request(keep_workload=True))
        marks = labels_of(b.ports.cluster.get(suspect(b)))
        other = next(p for p in b.ports.cluster.list(PODS, "todo-app", labels="app=backend") if p["metadata"]["name"] != suspect(b).name)
        b.ports.cluster.patch(ref_of(other, PODS), {"metadata": {"labels": {**marks, "app": None, "pod-template-hash": None}}})
        result = rotate(b, scope="workload")
        assert all(other["metadata"]["name"] not in n for n in notes(b) if "evidence of incident" in n)
        assert any(other["metadata"]["name"] in line for line in [*notes(b), *left(result)])


def test_a_damaged_journal_of_another_incident_stops_no_rotation(tmp_path):
    with bench(tmp_path, rotation=GENERATED) as b:
        contained = respond(b.ports, b.request(keep_workload=True)).incident
        assert contained
        path = Home(b.home).journal(contained)
        whole = path.read_bytes().split(b"\n")
        path.write_bytes(b"\n".join([*whole[:3], whole[3][:-9], *whole[4:]]))
        rotate(b)
        assert any("a bare pod" in n for n in notes(b)), "nothing vouches for it any more"


def test_nothing_is_asked_where_no_pod_is_under_quarantine(tmp_path):
    with bench(tmp_path, rotation=GENERATED) as b:
        shared(b)
        rotate(b)
        reads = [e for e in b.box.audit if e["verb"] == "get" and at(e, ("objectRef", "resource")) == "configmaps"]
        assert not [e for e in reads if at(e, ("objectRef", "namespace")) == "irkit-system" and e["responseStatus"]["code"] == 404]


def agent(b: Bench) -> Obj:
    """A DaemonSet of the host network that has a Secret and an account."""
    spec = {"hostNetwork": True, "serviceAccountName": "backend-sa", "containers": [
        {"name": "agent", "image": "registry.example/agent:1", "envFrom": [{"secretRef": {"name": "backend-secret"}}]}]}  # fmt: skip
    body = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent", "namespace": "todo-app"},
            "spec": {"selector": {"matchLabels": {"app": "agent"}},
                     "template": {"metadata": {"labels": {"app": "agent"}}, "spec": spec}}}  # fmt: skip
    b.ports.cluster.create(DAEMONSETS, body)
    b.box.settle()
    (found,) = [p for p in b.ports.cluster.list(PODS, "todo-app", labels="app=agent") if p["spec"]["nodeName"] == "node-1"]
    return found


def test_what_a_restart_ends_of_a_node_under_suspicion_is_said_before_and_collected_before(tmp_path):
    with bench(tmp_path, rotation=GENERATED) as b:
        pod = ref_of(agent(b), PODS)
        b.approver.secrets["backend-secret/GROQ_API_KEY"] = "gsk_new_vendor_key_for_tests"
        result = respond(b.ports, b.request(command="respond", playbook="compromised-node", phase="", target="node-1"))
        said = f"the restart of DaemonSet todo-app/agent ends what incident {result.incident} keeps, once it is collected: {pod}; "
        said += "what starts in its place on that node is given the new values, so rotate them again once the node is replaced"
        assert [n for n in notes(b) if n.startswith("the restart of")] == [said], "those that are cut off by then live on"
        changes = b.state().tried
        taken = next(n for n, c in enumerate(changes) if isinstance(c, Capture) and c.pod.uid == pod.uid)
        restart = next(n for n, c in enumerate(changes) if isinstance(c, Patch) and c.action == "restart" and c.ref.kind == "DaemonSet")
        assert taken < restart
        cut = [p for p in b.ports.cluster.list(PODS, "todo-app") if labels_of(p).get("quarantine") == "true"]
        assert cut
        assert not [p for p in cut if at(p, ("metadata", "deletionTimestamp"))]


def test_another_rotation_says_what_it_ends_of_a_node_under_suspicion(tmp_path):
    with bench(tmp_path, rotation=GENERATED) as b:
        pod = ref_of(agent(b), PODS)
        node = respond(b.ports, b.request(command="respond", playbook="compromised-node", phase="containment", target="node-1"))
        rotated = rotate(b)
        (said,) = [n for n in notes(b) if n.startswith("the restart of DaemonSet")]
        assert said.startswith(f"the restart of DaemonSet todo-app/agent ends what incident {node.incident} keeps, once it is collected: {pod}; ")
        changes = Home(b.home).load(rotated.incident or "").tried
        taken = next(n for n, c in enumerate(changes) if isinstance(c, Capture) and c.pod.uid == pod.uid)
        assert taken < next(n for n, c in enumerate(changes) if isinstance(c, Patch) and c.action == "restart" and c.ref.kind == "DaemonSet")


def test_the_journal_of_a_colleague_is_only_read(tmp_path):
    with bench(tmp_path, rotation=GENERATED) as b:
        shared(b)
        contained = respond(elsewhere(b, tmp_path), b.request(keep_workload=True)).incident
        assert contained
        before = b.ports.cluster.list(CONFIGMAPS, "irkit-system")
        rotate(b)
        assert contained not in Home(b.home).ids()
        after = {o["metadata"]["name"]: o for o in b.ports.cluster.list(CONFIGMAPS, "irkit-system")}
        assert all(after[o["metadata"]["name"]] == o for o in before)
        assert journal.read(Home(tmp_path / "colleague").journal(contained)).torn == 0
