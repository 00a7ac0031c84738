"""What stop() does to real pods, under real controllers: its pods end, a detached one lives on, and it comes back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import pytest

from irkit import checks, workloads
from irkit.adapters.kubernetes import connect
from irkit.errors import ConflictError
from irkit.model.changes import Patch
from irkit.model.kube import (
    CRONJOBS,
    DAEMONSETS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    REPLICASETS,
    STATEFULSETS,
    Obj,
    ObjectRef,
    Resource,
    controller_of,
    labels_of,
    ref_of,
)
from irkit.network.deny import quarantine_labels
from irkit.ports import Cluster, Observed
from irkit.settings import Settings
from tests.controlplane.running import Running
from tests.workloads.world import incident

T = TypeVar("T")
pytestmark = pytest.mark.controlplane

TEMPLATE: Obj = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": "localhost/app:1"}]}}
ONCE = {**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}
SELECTOR = {"matchLabels": {"app": "web"}}


@dataclass(frozen=True)
class Case:
    """A kind of workload: its object, how many pods it makes, how many of them end, and how it is written in the header."""

    resource: Resource
    spec: Obj
    pods: int
    summary: str
    replaced: bool = True  # whether a new pod comes for the one that was detached

    @property
    def object(self) -> Obj:
        return {"apiVersion": self.resource.api_version, "kind": self.resource.kind, "metadata": {"name": "web"}, "spec": self.spec}


REPLICATED = {"replicas": 3, "selector": SELECTOR, "template": TEMPLATE}
CASES = [
    Case(DEPLOYMENTS, REPLICATED, 3, "3 replicas"),
    Case(REPLICASETS, REPLICATED, 3, "3 replicas"),
    Case(STATEFULSETS, {**REPLICATED, "serviceName": "web"}, 3, "3 replicas", replaced=False),
    Case(DAEMONSETS, {"selector": SELECTOR, "template": TEMPLATE}, 3, "a pod on each of 3 nodes"),
    Case(JOBS, {"parallelism": 2, "completions": 5, "template": ONCE}, 2, "2 active, 0 of 5 done"),
    Case(CRONJOBS, {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"parallelism": 2, "template": ONCE}}}, 2, "at 0 0 1 1 *, 1 active Job"),
]


@pytest.fixture
def cluster(control_plane: Running) -> Cluster:
    return connect(Settings(kubeconfig=str(control_plane.admin_kubeconfig)), {})


def until(ask: Callable[[], T], what: str, seconds: float = 20) -> T:
    end = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)
    return answer


def made(case: Case, plane: Running, namespace: str) -> ObjectRef:
    """The workload, its pods running."""
    plane.apply(case.object, namespace=namespace)
    if case.resource is CRONJOBS:
        plane.kubectl("create", "job", "web-1", "--from=cronjob/web", "-n", namespace)
    plane.pods(namespace, count=case.pods)
    uid = plane.get(case.resource.plural, "web", "-n", namespace)["metadata"]["uid"]
    return ObjectRef(resource=case.resource, name="web", namespace=namespace, uid=uid)


def send(cluster: Cluster, change: object) -> None:
    """As an executor must: a 409 means to look again, for controllers write status all the time; and what is looked at is the object
    itself, for its Scale leaves ``spec.replicas`` out when it is 0."""
    assert isinstance(change, Patch)

    def sent() -> bool:
        current = cluster.get(change.ref)
        assert not change.conflicts(current)
        assert not change.holds(current)
        try:
            cluster.patch(change.ref, change.body(current), subresource=change.subresource)
        except ConflictError:
            return False
        return True

    until(sent, f"{change.ref} is patched")


def detach(cluster: Cluster, pod: Obj, labels: dict[str, str]) -> None:
    ref = ref_of(pod, PODS)
    cluster.patch(ref, {"metadata": {"labels": {**dict.fromkeys(labels_of(pod)), **labels}}})
    until(lambda: controller_of(cluster.get(ref)) is None, f"{ref} is detached")


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.resource.kind)
def test_stopping_ends_its_pods_and_spares_the_detached_one(case: Case, cluster: Cluster, control_plane: Running, namespace: str):
    ref = made(case, control_plane, namespace)
    suspect = cluster.list(PODS, namespace)[0]
    opened, pod = incident(suspect), ref_of(suspect, PODS)
    assert workloads.workload_of(suspect, workloads.owner_chain(suspect, cluster)) == ref
    until(lambda: workloads.observe(ref, cluster).summary == case.summary, f"{case.summary}, as the controller sees it")
    workload = workloads.observe(ref, cluster)
    assert not workload.stopped
    assert len(workload.pods) == case.pods

    detach(cluster, suspect, quarantine_labels(opened))
    if case.replaced:
        until(lambda: len(workloads.observe(ref, cluster).pods) == case.pods, "the detached pod is replaced")
    changes = list(workloads.observe(ref, cluster).stop())
    planned = {p.uid for c in changes for p in c.ends}
    assert planned == {p["metadata"]["uid"] for p in cluster.list(PODS, namespace)} - {pod.uid}
    for change in changes:
        send(cluster, change)

    seen = Observed(cluster=cluster, now=datetime(2026, 11, 22, tzinfo=UTC), settings=Settings())
    until(lambda: checks.find("stopped").judge(opened, ref, seen).holds, "it is stopped, and has no pods")
    assert list(workloads.observe(ref, cluster).stop()) == []
    left = cluster.list(PODS, namespace)
    assert [ref_of(p, PODS) for p in left] == [pod], "the detached pod lives, alone"
    assert checks.find("alive").judge(opened, pod, seen).holds is True

    for change in reversed(changes):
        assert isinstance(change, Patch)
        send(cluster, change.inverse)
    until(lambda: workloads.observe(ref, cluster).ready(), "it is back")
    assert not workloads.observe(ref, cluster).stopped
    assert pod in {ref_of(p, PODS) for p in cluster.list(PODS, namespace)}


def test_a_statefulset_that_lost_a_name_is_ready_without_it_and_only_without_it(cluster: Cluster, control_plane: Running, namespace: str):
    case = next(c for c in CASES if c.resource is STATEFULSETS)
    ref = made(case, control_plane, namespace)
    first = next(p for p in cluster.list(PODS, namespace) if p["metadata"]["name"] == "web-0")
    assert workloads.observe(ref, cluster).ready()
    detach(cluster, first, {"quarantine": "true"})
    until(lambda: cluster.get(ref).get("status", {}).get("readyReplicas") == 2, "the controller counts two pods")
    assert workloads.observe(ref, cluster).ready()
    cluster.delete(ref_of(first, PODS))
    until(lambda: cluster.get(ref).get("status", {}).get("readyReplicas") == 3, "the name is free, and taken by a new pod")
    assert workloads.observe(ref, cluster).ready()


def test_completed_and_evicted_pods_stay_when_their_controller_is_stopped(cluster: Cluster, control_plane: Running, namespace: str):
    case = next(c for c in CASES if c.resource is REPLICASETS)
    ref = made(case, control_plane, namespace)
    evicted = cluster.list(PODS, namespace)[0]
    cluster.patch(ref_of(evicted, PODS), {"status": {"phase": "Failed", "reason": "Evicted"}}, subresource="status")
    until(lambda: len(workloads.active(workloads.observe(ref, cluster).pods)) == 3, "the evicted pod is replaced")
    (change,) = workloads.observe(ref, cluster).stop()
    assert evicted["metadata"]["uid"] not in {p.uid for p in change.ends}
    send(cluster, change)
    until(lambda: not workloads.active(workloads.observe(ref, cluster).pods), "no pod is left that has not finished")
    assert [p["metadata"]["uid"] for p in workloads.observe(ref, cluster).pods] == [evicted["metadata"]["uid"]]
