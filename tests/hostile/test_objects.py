"""Objects that the attacker owns: what they say of themselves decides nothing, and shows nothing raw."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from irkit.model.kube import CONFIGMAPS, LEASES, NETWORKPOLICIES, NODES
from irkit.sandbox.clock import micro
from tests.hostile.world import EVIL, Obj, World

COMMANDS = (("contain", "{pod}", "-n", "{ns}", "--dry-run"), ("contain", "{pod}", "-n", "{ns}", "--yes"), ("verify",), ("verify", "--explain"),
            ("incident", "list"), ("incident", "show"), ("bundle", "show"), ("bundle", "verify"), ("collect", "{pod}", "-n", "{ns}"),
            ("lift", "--pod", "return", "--yes"))  # fmt: skip


def whole_life(world: World, codes: dict[str, int] | None = None) -> str:
    """Every command, for people and for scripts, at terminals that are none; all that was said."""
    said = ""
    for command in COMMANDS:
        words = [w.format(pod=world.pod, ns=world.namespace) for w in command]
        code = (codes or {}).get(command[0], 0)
        if command[0] in ("verify", "incident", "bundle") or "--dry-run" in command:
            assert world.laptop.quick(*words, "-o", "json").ended(code).document
        said += world.laptop.quick(*words).ended(code).said
    return said


# what the pod says of itself


def hostile_pod(world: World) -> None:
    container = world.suspect()["spec"]["containers"][0]
    world.annotate(
        metadata={
            "annotations": {
                "irkit.dev/original-labels": '{"app": "postgres"}',
                "irkit.dev/incident": EVIL,
                "kubectl.kubernetes.io/last-applied-configuration": EVIL,
            }
        },
        spec={
            "containers": [{**container, "image": f"registry.example/{EVIL}", "env": [{"name": "E", "value": EVIL}], "args": [EVIL]}],
            "serviceAccountName": EVIL,
        },
        status={
            "message": EVIL,
            "reason": EVIL,
            "hostIP": EVIL,
            "podIP": EVIL,
            "containerStatuses": [
                {
                    **world.suspect()["status"]["containerStatuses"][0],
                    "imageID": f"x@sha256:{EVIL}",
                    "image": EVIL,
                    "lastState": {"terminated": {"exitCode": 1, "reason": EVIL, "message": EVIL, "containerID": EVIL}},
                    "restartCount": 2,
                }
            ],
        },
    )


def test_a_pod_full_of_terminal_codes(world: World) -> None:
    hostile_pod(world)
    assert "\nverdict: isolated\n" not in whole_life(world)
    assert world.suspect()["metadata"]["labels"]["app"] == "backend", "its labels came from the journal, not from its annotation"


def test_a_phase_and_a_node_and_times_that_are_none(world: World) -> None:
    world.annotate(spec={"nodeName": EVIL}, status={"phase": EVIL, "startTime": EVIL}, metadata={"creationTimestamp": EVIL})
    world.laptop.quick("contain", *world.target, "--yes").clean()
    world.laptop.quick("bundle", "show").ended(0)


@pytest.mark.parametrize("status", [{}, {"containerStatuses": None}, {"containerStatuses": [{"name": "other"}], "conditions": None}])
def test_a_status_that_says_nothing(world: World, status: Obj) -> None:
    pod = world.suspect()
    world.annotate(status={**dict.fromkeys(pod["status"]), **status})
    world.laptop.quick("contain", *world.target, "--yes", "--keep-workload").clean()


# owners it claims


def owner(kind: str, name: str, uid: str, **more: Any) -> Obj:
    version = "v1" if kind == "Node" else "apps/v1"
    return {"apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": True, "blockOwnerDeletion": True, **more}


@pytest.mark.parametrize("forged", ["another's uid", "no such uid", "a deployment that never owns pods", "another kind", "of hostile names", "many"])
def test_a_forged_owner_is_not_scaled(world: World, forged: str) -> None:
    """Whoever may write a pod's metadata may name any owner: then the workload would be stopped for nothing (a free outage)."""
    sets = {o["metadata"]["name"].rpartition("-")[0]: o for _, o in world.box.store.everything() if o["kind"] == "ReplicaSet"}
    frontend, mine = sets["frontend"], world.suspect()["metadata"]["ownerReferences"][0]
    world.box.hold()  # as where the controllers are slow: they would undo the claim
    claims = {
        "another's uid": [owner("ReplicaSet", frontend["metadata"]["name"], frontend["metadata"]["uid"])],
        "no such uid": [owner("ReplicaSet", frontend["metadata"]["name"], "00000000-0000-0000-0000-000000000000")],
        "a deployment that never owns pods": [owner("Deployment", "frontend", world.deployment("frontend")["metadata"]["uid"])],
        "another kind": [{**owner("Frobnicator", "frontend", "1"), "apiVersion": "evil.example/v1"}],
        "of hostile names": [owner("ReplicaSet", EVIL, EVIL), owner(EVIL, "../../secrets/x", "x")],
        "many": [{**mine, "controller": False}] + [owner("ReplicaSet", frontend["metadata"]["name"], f"{n}") for n in range(1000)],
    }[forged]
    world.annotate(metadata={"ownerReferences": claims})
    before = {o["metadata"]["name"]: o["spec"]["replicas"] for _, o in world.box.store.everything() if o["kind"] == "Deployment"}
    told = world.laptop.quick("contain", *world.target, "--yes").clean()
    after = {o["metadata"]["name"]: o["spec"]["replicas"] for _, o in world.box.store.everything() if o["kind"] == "Deployment"}
    assert after == before, told.said
    assert world.suspect()["metadata"]["labels"]["quarantine"] == "true", "the pod is cut off all the same"


# what happened to it, as others tell


def test_hostile_events(world: World) -> None:
    pod, now = world.suspect(), world.box.store.now()
    about = {"kind": "Pod", "apiVersion": "v1", "namespace": world.namespace, "name": world.pod, "uid": pod["metadata"]["uid"]}
    for number in range(3):
        meta = {"name": f"evil-{number}", "namespace": world.namespace}
        world.box.store.add({
            "apiVersion": "v1", "kind": "Event", "metadata": meta, "involvedObject": about, "type": EVIL, "reason": EVIL, "message": EVIL * 20,
            "count": number, "firstTimestamp": None, "lastTimestamp": None, "eventTime": micro(now) if number else None, "action": EVIL,
            "source": {"component": EVIL, "host": EVIL}, "reportingComponent": EVIL, "reportingInstance": EVIL,
            "series": {"count": 3, "lastObservedTime": EVIL if number == 2 else micro(now)},
        })  # fmt: skip
    said = whole_life(world)
    assert "owned" not in said.replace("owned\\x07", "")
    text = next(world.laptop.home.glob("incidents/*/bags/1/data/incident-events.txt")).read_bytes()
    assert b"\x1b" not in text, "this file is made to be read with cat"


def test_neighbours_with_hostile_names(world: World) -> None:
    """Policies, Services, nodes, autoscalers of others: names that no real API server lets in, as a false one might send."""
    meta = {"namespace": world.namespace}
    everything: Obj = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [{"namespaceSelector": {"matchLabels": {EVIL: EVIL}}}],
                                                                               "ports": [{"protocol": EVIL, "port": EVIL}]}]}  # fmt: skip
    for obj in ({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {**meta, "name": EVIL}, "spec": everything},
                {"apiVersion": "v1", "kind": "Service", "metadata": {**meta, "name": EVIL}, "spec": {"selector": {"app": "backend"}}}):  # fmt: skip
        world.box.store.add(obj)
    world.box.store.patch(
        NODES, world.suspect()["spec"]["nodeName"], {"status": {"nodeInfo": {"osImage": EVIL}}, "metadata": {"labels": {EVIL: EVIL}}}
    )
    said = ""
    for words in (
        ("contain", *world.target, "--dry-run"),
        ("contain", *world.target, "--yes"),
        ("verify", "--explain"),
        ("bundle", "show"),
        ("incident", "show"),
    ):
        said += world.laptop.quick(*words).clean().said
    assert "\\x1b[31m" in said
    assert world.laptop.quick("verify", "-o", "json").ended(5).document["isolation"]["verdict"] == "leaks"


# our own objects, in the hands of others


def contained(world: World, *more: str) -> tuple[str, str]:
    """The incident's id and the name of its policy."""
    found = json.loads(world.laptop.quick("contain", *world.target, "--yes", "-o", "json", *more).ended(0).stdout)["incident"]
    return found, f"irkit-{found.rsplit('-', 1)[-1]}"


@pytest.mark.parametrize("change", ["opened", "other labels", "deleted"])
def test_a_policy_that_was_changed_is_told_and_not_overwritten(world: World, change: str) -> None:
    incident, name = contained(world)
    spec: Obj = {"ingress": [{}], "egress": [{}]} if change == "opened" else {"podSelector": {"matchLabels": {"nobody": "here"}}}
    if change == "deleted":
        world.box.store.delete(NETWORKPOLICIES, name, world.namespace)
    else:
        world.box.store.patch(NETWORKPOLICIES, name, {"spec": spec}, world.namespace, manager="evil\x1b[31m")
    now = world.box.store.find(NETWORKPOLICIES, name, world.namespace)
    document = world.laptop.quick("verify", incident, "-o", "json").ended(5).document
    holds = {c["check"]: c["holds"] for c in document["checks"]}
    assert holds["untampered"] is False
    told = world.laptop.quick("verify", incident).ended(5)
    assert name in told.said
    resumed = world.laptop.quick("resume", incident, "--yes").clean()
    after = world.box.store.find(NETWORKPOLICIES, name, world.namespace)
    if change == "deleted":
        assert resumed.code in (0, 5)
    else:
        assert resumed.code != 0, "it does not hold"
        assert now is not None
        assert after is not None
        assert after["spec"] == now["spec"], "what others changed is shown, not overwritten"


def test_labels_that_came_back(world: World) -> None:
    incident, _ = contained(world, "--keep-workload")
    world.box.hold()
    world.annotate(metadata={"labels": {"app": "backend", EVIL: EVIL, "quarantine": "false"}})
    told = world.laptop.quick("verify", incident).ended(5)
    assert "quarantine" in told.said
    assert "app=backend came back" in told.said


@pytest.fixture
def shared(world: World) -> World:
    """A cluster where runs are known to colleagues."""
    world.box.store.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "irkit-system"}})
    return world


@pytest.mark.parametrize(
    "lease",
    [
        {"holderIdentity": EVIL, "renewTime": "9999-12-31T23:59:59.999999Z", "leaseDurationSeconds": 2147483647},
        {"holderIdentity": "eve", "renewTime": EVIL},
        {"holderIdentity": 7, "renewTime": 7, "leaseDurationSeconds": "x"},
        {"holderIdentity": "eve", "renewTime": "2026-01-01T00:00:00", "leaseDurationSeconds": 1},
        {"holderIdentity": "eve", "renewTime": "2026-01-01T00:00:00Z", "leaseDurationSeconds": 10**30},
        {},
        None,
    ],
)
def test_a_lease_that_somebody_forged(shared: World, lease: Obj | None) -> None:
    name = f"irkit-{shared.suspect()['metadata']['uid']}"
    meta = {"name": name, "namespace": "irkit-system", "annotations": {"irkit.dev/incident-id": EVIL, "irkit.dev/target": EVIL}}
    shared.box.store.add({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": lease})
    told = shared.laptop.quick("contain", *shared.target, "--yes", "--keep-workload").clean()
    assert told.code in (0, 8), told.said
    if told.code == 8:
        assert "is held by" in told.complaint
        assert shared.writes() == []
    assert shared.box.store.find(LEASES, name, "irkit-system") is not None


@pytest.mark.parametrize("data", [None, {}, {"journal.jsonl.gz": ""}, {"journal.jsonl.gz": "not base64!"}, {"journal.jsonl.gz": "H4sIAAAAAAAAAw=="},
                                  {"journal.jsonl.gz": "H4sIAAAAAAACAwMAAAAAAAAAAAA="}, {"other": "QQ=="}, {"journal.jsonl.gz": 7},
                                  {"journal.jsonl.gz": ["x"]}])  # fmt: skip
def test_a_copy_of_a_journal_that_somebody_forged(shared: World, data: Obj | None) -> None:
    incident = "20261122T000000Z-web-forged"
    meta = {"name": f"irkit-{incident.lower()}", "namespace": "irkit-system"}
    shared.box.store.add({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "binaryData": data})
    for words in (("resume",), ("lift", "--yes")):
        told = shared.laptop.quick(words[0], incident, *words[1:]).clean()
        assert told.code in (2, 6), told.said
    assert shared.laptop.quick("incident", "list", "-o", "json").ended(0).document["items"] == []


def test_a_copy_that_unpacks_to_more_than_anybody_writes(shared: World) -> None:
    incident = "20261122T000000Z-web-bomb"
    bomb = base64.b64encode(gzip.compress(b"\n" * (100 << 20), 9)).decode()
    meta = {"name": f"irkit-{incident.lower()}", "namespace": "irkit-system"}
    shared.box.store.add({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "binaryData": {"journal.jsonl.gz": bomb}})
    shared.laptop.quick("resume", incident).ended(6)
    assert shared.laptop.quick("incident", "list", "-o", "json").ended(0).document["items"] == []


def test_a_copy_that_somebody_else_owns_is_not_overwritten_unsaid(shared: World) -> None:
    """It can't be guessed before; after, whoever may write there may write anything: the local journal is the truth."""
    incident, _ = contained(shared)
    name = f"irkit-{incident.lower()}"
    copy = shared.box.store.find(CONFIGMAPS, name, "irkit-system")
    assert copy is not None
    assert "journal.jsonl.gz" in copy["binaryData"]
    shared.box.store.patch(CONFIGMAPS, name, {"binaryData": {"journal.jsonl.gz": "AAAA"}}, "irkit-system", manager="evil")
    shared.laptop.quick("verify", incident).ended(0)
    shared.laptop.quick("lift", incident, "--pod", "return", "--yes").ended(0)
