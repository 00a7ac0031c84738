"""The runbooks, pasted block by block into a shell against a real control plane: they do what they say, by kubectl alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from irkit.engine import library
from tests.controlplane.running import Running
from tests.docs.runbooks import blocks, play

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]

Obj = dict[str, Any]
POD_SPEC: Obj = {"containers": [{"name": "app", "image": "registry.example/app:1"}], "terminationGracePeriodSeconds": 0}
LABELS = {"app": "it"}
TEMPLATE: Obj = {"metadata": {"labels": LABELS}, "spec": POD_SPEC}
OPEN_TO_ALL_BUT_TRUSTED: Obj = {  # selects a pod without the label, too
    "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "allow-monitoring"},
    "spec": {"podSelector": {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["frontend"]}]}, "ingress": [{}]},
}  # fmt: skip
OPEN_TO_ALL: Obj = {
    "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "allow-monitoring"},
    "spec": {"podSelector": {}, "ingress": [{}]},
}  # fmt: skip


def workload(kind: str) -> Obj:
    group = {"Job": "batch/v1", "CronJob": "batch/v1", "Pod": "v1"}.get(kind, "apps/v1")
    job_spec: Obj = {"parallelism": 2, "completions": 9, "template": {"spec": {**POD_SPEC, "restartPolicy": "Never"}, "metadata": {"labels": LABELS}}}
    specs: dict[str, Obj] = {
        "Deployment": {"replicas": 3}, "ReplicaSet": {"replicas": 3}, "StatefulSet": {"replicas": 2, "serviceName": "it"}, "DaemonSet": {},
        "Job": job_spec, "CronJob": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job_spec}}, "Pod": POD_SPEC,
    }  # fmt: skip
    spec = specs[kind]
    if group == "apps/v1":
        spec = {**spec, "selector": {"matchLabels": LABELS}, "template": TEMPLATE}
    return {"apiVersion": group, "kind": kind, "metadata": {"name": "it", "labels": LABELS if kind == "Pod" else {}}, "spec": spec}


COUNTS = {"Deployment": 3, "ReplicaSet": 3, "StatefulSet": 2, "DaemonSet": 3, "Job": 2, "CronJob": 2, "Pod": 1}
KINDS = [kind if kind in ("Deployment", "StatefulSet", "Pod") else pytest.param(kind, marks=pytest.mark.exhaustive) for kind in COUNTS]


class Hand:
    """Somebody with kubectl and a runbook."""

    def __init__(self, plane: Running, namespace: str, home: Path, name: str) -> None:
        self.plane, self.namespace, self.home = plane, namespace, home
        self.text = (library.builtin("runbooks") / f"{name}.md").read_text()

    def begin(self, kind: str, *others: Obj) -> str:
        """Start a workload; returns the suspect."""
        self.plane.apply(workload(kind), *others, namespace=self.namespace)
        if kind == "CronJob":
            self.plane.kubectl("-n", self.namespace, "create", "job", "--from=cronjob/it", "it-1")
        pods = self.plane.pods(self.namespace, "app=it", count=COUNTS[kind])
        suspect: str = pods[0]["metadata"]["name"]
        self.before = pods[0]["metadata"]["labels"]
        return suspect

    def do(self, pod: str, *tags: str, again: str = "") -> str:
        """Paste all untagged blocks, then the tagged ones; ``again``: what else a person would type in that shell."""
        scripts = [*blocks(self.text), *([again] if again else [])]
        for tag in tags:
            found = blocks(self.text, tag)
            assert found, tag
            scripts += found
        return self.paste(scripts, pod)

    def paste(self, scripts: Sequence[str], pod: str) -> str:
        return play(scripts, f"NS={self.namespace} POD={pod}", kubeconfig=self.plane.admin_kubeconfig, path=[self.plane.kubectl_program.parent],
                    home=self.home)  # fmt: skip

    def pod(self, name: str) -> Obj:
        return self.plane.get("pod", name, "-n", self.namespace)

    def policies(self) -> list[Obj]:
        items: list[Obj] = self.plane.get("networkpolicies", "-n", self.namespace)["items"]
        return [p for p in items if p["metadata"]["name"].startswith("by-hand-")]

    @property
    def case(self) -> Path:
        (case,) = self.home.glob("incident-*")
        return case


@pytest.fixture
def hand(control_plane: Running, namespace: str, tmp_path: Path, request: pytest.FixtureRequest) -> Hand:
    return Hand(control_plane, namespace, tmp_path, request.param)


def with_runbook(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("hand", [name], indirect=True, ids=[name])


def assert_cut_off(hand: Hand, suspect: str) -> None:
    pod = hand.pod(suspect)
    (policy,) = hand.policies()
    assert pod["status"]["phase"] == "Running"
    assert "ownerReferences" not in pod["metadata"]
    assert pod["metadata"]["labels"].keys() == {"quarantine", "irkit.dev/incident"}
    assert policy["spec"] == {"podSelector": {"matchLabels": pod["metadata"]["labels"]}, "policyTypes": ["Ingress", "Egress"]}


def requests(hand: Hand, since: int) -> list[tuple[str, str, str]]:
    """What kubectl sent to the namespace, dry runs left out: verb, resource, subresource."""
    events = [e for e in hand.plane.audit(since, agent="kubectl") if e["stage"] == "ResponseComplete" and "dryRun" not in e["requestURI"]]
    refs = [(e["verb"], e.get("objectRef", {})) for e in events]
    return [(verb, ref["resource"], ref.get("subresource", "")) for verb, ref in refs if ref.get("namespace") == hand.namespace]


@with_runbook("compromised-pod")
@pytest.mark.parametrize("kind", KINDS)
def test_contain(hand: Hand, kind: str):
    suspect = hand.begin(kind)
    since = hand.plane.mark()
    hand.do(suspect)
    assert_cut_off(hand, suspect)
    assert [p["metadata"]["name"] for p in hand.plane.pods(hand.namespace)] == [suspect]
    sent = requests(hand, since)
    relabelled = sent.index(("patch", "pods", ""))
    assert ("create", "networkpolicies", "") in sent[:relabelled]
    logs = [i for i, (_, resource, sub) in enumerate(sent) if (resource, sub) == ("pods", "log")]
    stops = [i for i, (verb, resource, _) in enumerate(sent) if verb == "patch" and resource != "pods"]
    assert logs
    assert bool(stops) == (kind != "Pod")
    assert all(stop > max(logs) for stop in stops)
    collected = {path.name for path in (hand.case / "pods").iterdir()}
    assert suspect in collected
    assert len(collected) >= COUNTS[kind]
    wanted = hand.plane.kubectl("-n", hand.namespace, "logs", suspect, "-c", "app", "--timestamps").stdout
    assert (hand.case / "pods" / suspect / "app.log").read_text() == wanted
    assert json.loads((hand.case / "labels.json").read_text()) == hand.before
    assert hand.case.stat().st_mode & 0o777 == 0o700


@with_runbook("compromised-pod")
@pytest.mark.parametrize("kind", KINDS)
def test_contain_and_return(hand: Hand, kind: str):
    suspect = hand.begin(kind)
    uid = hand.pod(suspect)["metadata"]["uid"]
    hand.do(suspect, "undo", "return")
    pod = hand.pod(suspect)
    assert (pod["metadata"]["uid"], pod["metadata"]["labels"]) == (uid, hand.before)
    assert hand.policies() == []
    if kind != "Pod":
        hand.plane.pods(hand.namespace, "app=it", count=COUNTS[kind])
        assert hand.pod(suspect)["metadata"]["uid"] == uid


@with_runbook("compromised-pod")
def test_contain_and_delete(hand: Hand):
    suspect = hand.begin("StatefulSet")
    hand.do(suspect, "undo", "delete")
    assert hand.policies() == []
    hand.plane.pods(hand.namespace, "app=it", count=2)


@with_runbook("compromised-pod")
@pytest.mark.parametrize("leak", [OPEN_TO_ALL_BUT_TRUSTED, OPEN_TO_ALL], ids=["NotIn", "all"])
def test_a_leak_is_closed_and_opened_again(hand: Hand, leak: Obj):
    suspect = hand.begin("Deployment", leak)
    before = hand.plane.get("networkpolicy", "allow-monitoring", "-n", hand.namespace)["spec"]
    hand.do(suspect, "leak")
    after = hand.plane.get("networkpolicy", "allow-monitoring", "-n", hand.namespace)["spec"]
    assert {"key": "quarantine", "operator": "DoesNotExist"} in after["podSelector"]["matchExpressions"]
    assert after["podSelector"]["matchExpressions"][:-1] == before["podSelector"].get("matchExpressions", [])
    hand.home = hand.home / "again"
    hand.home.mkdir()
    other = hand.begin("Pod")
    hand.do(other, "leak", "undo-leak")
    assert hand.plane.get("networkpolicy", "allow-monitoring", "-n", hand.namespace)["spec"] == after


@with_runbook("compromised-pod")
def test_the_pod_is_gone(hand: Hand):
    suspect = hand.begin("Deployment")
    names = f"export NS={hand.namespace} POD={suspect}\n"
    hand.plane.kubectl("-n", hand.namespace, "delete", "pod", suspect)
    hand.paste([names, *blocks(hand.text, "gone")], suspect)
    assert {path.name for path in hand.case.iterdir()} == {"incident-events.yaml", "specs.yaml"}


@with_runbook("isolate-only")
@pytest.mark.parametrize("kind", KINDS)
def test_isolate(hand: Hand, kind: str):
    suspect = hand.begin(kind)
    hand.do(suspect)
    assert_cut_off(hand, suspect)
    replaced = {"Pod": 0, "StatefulSet": COUNTS["StatefulSet"] - 1}.get(kind, COUNTS[kind])
    assert len(hand.plane.pods(hand.namespace, "app=it", count=replaced)) == replaced


@with_runbook("isolate-only")
def test_isolate_and_undo(hand: Hand):
    suspect = hand.begin("Deployment")
    hand.do(suspect, "undo")
    assert hand.pod(suspect)["metadata"]["labels"] == hand.before
    assert hand.policies() == []
    hand.plane.pods(hand.namespace, "app=it", count=3)
    assert hand.pod(suspect)["status"]["phase"] == "Running"


@with_runbook("collect-only")
@pytest.mark.parametrize("kind", KINDS)
def test_collect(hand: Hand, kind: str):
    suspect = hand.begin(kind)
    since = hand.plane.mark()
    hand.do(suspect)
    assert len(list((hand.case / "pods").iterdir())) == COUNTS[kind]
    assert (hand.case / "SHA256SUMS").read_text().count("pod.yaml") == COUNTS[kind] + 1
    written = [e["requestURI"] for e in hand.plane.audit(since, agent="kubectl") if e["verb"] in ("create", "update", "patch", "delete")]
    assert written == []
