"""Each kind of workload over a cluster of dicts: what stops it, which pods end, what is said before."""

from __future__ import annotations

from typing import Any

import pytest

from irkit import workloads
from irkit.errors import NotFoundError, UsageError
from irkit.model.changes import Patch
from irkit.model.edits import ABSENT, present
from irkit.model.kube import (
    DAEMONSETS,
    DEPLOYMENTS,
    HPAS,
    REPLICASETS,
    SERVICES,
    STATEFULSETS,
    Obj,
    ObjectRef,
)
from irkit.model.titles import title
from tests.workloads.world import World, cronjob, deployed, job, make, pod, ref, scaled


def patches(workload: workloads.Workload) -> list[Patch]:
    found = list(workload.stop())
    assert all(isinstance(c, Patch) for c in found)
    return [c for c in found if isinstance(c, Patch)]


def names(refs: tuple[ObjectRef, ...]) -> list[str]:
    assert all(r.uid for r in refs)
    return [r.name for r in refs]


def applied(obj: Obj, patch: Patch) -> Obj:
    """``obj`` after the merge patch, as far as these tests need it."""

    def merged(old: Any, new: Any) -> Any:
        if not isinstance(new, dict):
            return new
        old = old if isinstance(old, dict) else {}
        return {k: merged(old.get(k), v) for k, v in {**old, **new}.items() if k not in new or new[k] is not None} | {
            k: old[k] for k in old.keys() - new.keys()}  # fmt: skip

    result: Obj = merged(obj, patch.body(obj))
    return result


def service(name: str, selector: dict[str, str] | None, **spec: Any) -> Obj:
    return make(SERVICES, name, spec={"selector": selector, **spec} if selector else spec)


def daemonset(name: str = "agent", nodes: int = 2, **spec: Any) -> Obj:
    template = {"metadata": {"labels": {"app": name}}, "spec": spec}
    status = {"observedGeneration": 1, "desiredNumberScheduled": nodes, "numberReady": nodes, "updatedNumberScheduled": nodes}
    return make(DAEMONSETS, name, spec={"selector": {"matchLabels": {"app": name}}, "template": template}, status=status)


# every kind


def test_every_kind_that_is_stopped_plans_nothing_more():
    """Law 1 of the design, for stop(): apply the plan, and the plan is empty."""
    deployment, revision, pods = deployed("backend")
    nightly = cronjob()
    run = job("nightly-1", owner=nightly)
    todo = [deployment, scaled(REPLICASETS, "bare"), scaled(STATEFULSETS, "db"), daemonset(), job(), nightly, pod("bare")]
    world = World([revision, *pods, run, *todo])
    assert {ref(o).kind for o in todo} == {k.resource.kind for k in workloads.KINDS}, "a kind has no case here"
    for obj in todo:
        for change in patches(workloads.observe(ref(obj), world)):
            (old,) = [o for o in world.objects if ref(o).same(change.ref)]
            world.objects[world.objects.index(old)] = applied(old, change)
        workload = workloads.observe(ref(obj), world)
        assert workload.stopped, obj["kind"]
        assert list(workload.stop()) == [], obj["kind"]


def test_observing_reads_the_object_once_and_stopping_lists_only():
    deployment, revision, pods = deployed("backend")
    world = World([deployment, revision, *pods, service("backend", {"app": "backend"})])
    workload = workloads.observe(ref(deployment), world)
    assert world.requests == ["get deployments"]
    list(workload.stop())
    list(workload.warnings(ref(pods[0])))
    assert set(world.requests[1:]) <= {"list replicasets", "list pods", "list services"}


def test_a_workload_that_is_gone_or_was_replaced_is_not_found():
    deployment, *_ = deployed("backend")
    old = ref(deployment)
    with pytest.raises(NotFoundError):
        workloads.observe(old, World())
    with pytest.raises(NotFoundError, match="another one has its name now"):
        workloads.observe(old, World([scaled(DEPLOYMENTS, "backend")]))


def test_what_irkit_cannot_stop_is_said_with_what_it_can():
    hpa = ObjectRef(resource=HPAS, name="x", namespace="y")
    with pytest.raises(UsageError, match="irkit can't stop a HorizontalPodAutoscaler; it knows Deployment"):
        workloads.observe(hpa, World())


# Deployment, ReplicaSet


def test_a_deployment_is_scaled_by_its_scale_and_ends_its_pods():
    deployment, revision, pods = deployed("backend")
    older = scaled(REPLICASETS, "backend-old", 0, owner=deployment)
    rolling = pod("backend-old-1", owner=older, labels={"app": "backend"})
    stranger = pod("other", labels={"app": "backend"})  # same labels, no owner
    evicted = pod("backend-evicted", owner=revision, phase="Failed")
    workload = workloads.observe(ref(deployment), World([deployment, revision, older, *pods, rolling, stranger, evicted]))
    (patch,) = patches(workload)
    assert (patch.action, patch.subresource, patch.ref) == ("scale", "scale", ref(deployment))
    assert [(e.path, e.before, e.after) for e in patch.edits] == [(("spec", "replicas"), present(3), present(0))]
    assert set(names(patch.ends)) == {p["metadata"]["name"] for p in (*pods, rolling)}
    assert title(patch) == "scale   Deployment todo-app/backend  3 → 0"
    assert evicted in workload.pods
    assert evicted not in workloads.active(workload.pods)


def test_a_detached_pod_is_not_among_those_that_end():
    deployment, revision, (suspect, *others) = deployed("backend")
    del suspect["metadata"]["ownerReferences"]
    (patch,) = patches(workloads.observe(ref(deployment), World([deployment, revision, suspect, *others])))
    assert suspect["metadata"]["name"] not in names(patch.ends)
    assert len(patch.ends) == len(others)


def test_a_replicaset_of_a_deployment_is_never_scaled_by_itself():
    deployment, revision, pods = deployed("backend")
    workload = workloads.observe(ref(revision), World([deployment, revision, *pods]))
    with pytest.raises(UsageError, match="belongs to Deployment backend") as refused:
        list(workload.stop())
    assert refused.value.next == "stop Deployment backend instead"


@pytest.mark.parametrize(("status", "ready"), [
    ({}, True), ({"observedGeneration": 0}, False), ({"readyReplicas": 2}, False), ({"updatedReplicas": 1}, False), ({"readyReplicas": None}, False),
    ({"replicas": 4}, False),  # the newest ones are there, an older one still serves in the place of one that is not ready
])  # fmt: skip
def test_a_deployment_is_ready_when_all_pods_of_its_newest_template_are(status, ready):
    deployment, *_ = deployed("backend")
    deployment["status"].update(status)
    assert workloads.observe(ref(deployment), World([deployment])).ready() is ready


@pytest.mark.parametrize(("status", "strategy", "ready"), [
    ({"updateRevision": "b", "updatedReplicas": 1}, {}, False), ({"updateRevision": "b", "updatedReplicas": 3}, {}, True),
    ({"updateRevision": "a", "updatedReplicas": 0}, {}, True), ({"updateRevision": "b", "updatedReplicas": 1}, {"type": "OnDelete"}, True),
    ({"updateRevision": "b", "updatedReplicas": 1}, {"rollingUpdate": {"partition": 2}}, True),
])  # fmt: skip
def test_a_stateful_set_is_ready_when_its_newest_revision_is(status, strategy, ready):
    db = scaled(STATEFULSETS, "db")
    db["spec"]["updateStrategy"] = strategy
    db["status"].update({"currentRevision": "a", **status})
    assert workloads.observe(ref(db), World([db])).ready() is ready


def test_a_paused_deployment_is_not_asked_for_its_newest_template():
    deployment, *_ = deployed("backend")
    deployment["spec"]["paused"], deployment["status"]["updatedReplicas"] = True, 0
    assert workloads.observe(ref(deployment), World([deployment])).ready()


# outages


def outage(*objects: Obj) -> list[str]:
    deployment, revision, pods = deployed("backend")
    workload = workloads.observe(ref(deployment), World([deployment, revision, *pods, *objects]))
    return list(workload.on_stop())


def test_a_service_that_loses_its_last_endpoint_is_said():
    assert outage(service("backend", {"app": "backend"})) == ["3 → 0 replicas: Service todo-app/backend will have no endpoints"]


@pytest.mark.parametrize(("kept", "said"), [
    (pod("other", labels={"app": "backend"}), False),
    (pod("other", labels={"app": "backend"}, ready=False), True),
    (pod("other", labels={"app": "backend"}, phase="Failed"), True),
    (pod("other", labels={"app": "backend"}, deletionTimestamp="2026-11-22T03:00:00Z"), True),
    (pod("other", labels={"app": "frontend"}), True),
])  # fmt: skip
def test_only_a_ready_pod_of_somebody_else_keeps_a_service_up(kept, said):
    assert bool(outage(service("backend", {"app": "backend"}), kept)) is said


def test_services_of_others_and_without_selector_are_not_named():
    assert outage(service("frontend", {"app": "frontend"}), service("external", None, type="ExternalName", externalName="example.com")) == []


def test_a_service_for_unready_addresses_stays_up_by_an_unready_pod():
    headless = service("backend", {"app": "backend"}, publishNotReadyAddresses=True)
    assert outage(headless, pod("other", labels={"app": "backend"}, ready=False)) == []


def test_services_that_may_not_be_listed_are_said_not_to_be_checked():
    deployment, revision, pods = deployed("backend")
    workload = workloads.observe(ref(deployment), World([deployment, revision, *pods], forbidden={"Service"}))
    assert list(workload.on_stop()) == [
        "3 → 0 replicas: not checked whether a Service loses its endpoints, because listing Services is forbidden"]  # fmt: skip


def test_what_is_stopped_already_ends_nothing():
    deployment, revision, _ = deployed("backend", 0)
    world = World([deployment, revision, service("backend", {"app": "backend"})])
    assert list(workloads.observe(ref(deployment), world).warnings(None)) == []


# StatefulSet


def test_a_detached_pod_of_a_statefulset_keeps_its_name():
    db = scaled(STATEFULSETS, "db")
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data-db-1"}}, {"name": "tmp", "emptyDir": {}}]
    pods = [pod(f"db-{i}", owner=db, labels={"app": "db"}, spec={"volumes": volumes}) for i in range(3)]
    said = list(workloads.observe(ref(db), World([db, *pods])).on_detach(ref(pods[1])))
    assert said == [
        "the name db-1 stays taken: until the quarantined pod is gone there is no replacement, nor any new pod of a higher ordinal",
        "PersistentVolumeClaim data-db-1 stays mounted, and writable, by the quarantined pod",
    ]
    db["spec"]["podManagementPolicy"] = "Parallel"
    assert "higher ordinal" not in next(workloads.observe(ref(db), World([db, *pods])).on_detach(ref(pods[1])))


@pytest.mark.parametrize(("policy", "ready", "expected"), [
    ("OrderedReady", 1, True), ("OrderedReady", 0, False), ("Parallel", 2, True), ("Parallel", 1, False),
])  # fmt: skip
def test_a_statefulset_is_ready_as_far_as_a_taken_name_lets_it(policy, ready, expected):
    db = scaled(STATEFULSETS, "db", spec={"podManagementPolicy": policy})
    db["status"]["readyReplicas"] = ready
    kept = pod("db-1", labels={"quarantine": "true"})  # detached
    others = [pod(f"db-{i}", owner=db) for i in (0, 2)]
    assert workloads.observe(ref(db), World([db, kept, *others])).ready() is expected


def test_ordinals_may_start_elsewhere():
    db = scaled(STATEFULSETS, "db", 2, spec={"ordinals": {"start": 5}})
    db["status"]["readyReplicas"] = 1
    assert not workloads.observe(ref(db), World([db, pod("db-0")])).ready()
    assert workloads.observe(ref(db), World([db, pod("db-6")])).ready()


# DaemonSet


def test_a_daemonset_is_sent_to_no_node():
    agent = daemonset(nodeSelector={"disk": "ssd"})
    pods = [pod(f"agent-{i}", owner=agent) for i in range(2)]
    (patch,) = patches(workloads.observe(ref(agent), World([agent, *pods])))
    assert [(e.path[-1], e.before, e.after) for e in patch.edits] == [("irkit.dev/none", ABSENT, present("true"))]
    assert names(patch.ends) == ["agent-0", "agent-1"]
    after = applied(agent, patch)
    assert after["spec"]["template"]["spec"]["nodeSelector"] == {"disk": "ssd", "irkit.dev/none": "true"}
    assert applied(after, patch.inverse)["spec"]["template"]["spec"]["nodeSelector"] == {"disk": "ssd"}


def test_a_daemonset_without_nodes_is_stopped_only_once_its_controller_says_so():
    agent = daemonset(nodes=0)
    assert workloads.observe(ref(agent), World([agent])).stopped
    agent["metadata"]["generation"] = 2
    assert not workloads.observe(ref(agent), World([agent])).stopped


@pytest.mark.parametrize("spec", [
    {"containers": [{"ports": [{"containerPort": 9100, "hostPort": 9100}]}]},
    {"hostNetwork": True, "containers": [{"ports": [{"containerPort": 9100}]}]},
])  # fmt: skip
def test_a_host_port_keeps_the_replacement_away(spec):
    agent = daemonset(**spec)
    suspect = pod("agent-1", owner=agent, spec={"nodeName": "node-1"})
    (said,) = workloads.observe(ref(agent), World([agent, suspect])).on_detach(ref(suspect))
    assert said == "host port 9100 of node-1 stays taken by the quarantined pod: its replacement there can't start"


def test_a_daemonset_without_host_ports_has_no_clash():
    agent = daemonset(containers=[{"ports": [{"containerPort": 9100}]}])
    assert list(workloads.observe(ref(agent), World([agent])).on_detach(ref(pod("agent-1")))) == []


# Job, CronJob


def test_a_job_is_suspended_and_ends_its_active_pods():
    load = job()
    active, done = pod("import-1", owner=load), pod("import-2", owner=load, phase="Succeeded")
    (patch,) = patches(workloads.observe(ref(load), World([load, active, done])))
    assert (patch.action, names(patch.ends)) == ("suspend", ["import-1"])
    assert title(patch) == "suspend Job todo-app/import  spec.suspend: false → true"


def test_a_job_that_is_over_starts_no_pods():
    over = job(over=True, ttlSecondsAfterFinished=300)
    workload = workloads.observe(ref(over), World([over]))
    assert (workload.stopped, workload.summary, list(workload.stop())) == (True, "finished", [])
    assert list(workload.on_stop()) == ["Job todo-app/import and its pods are deleted 300 s after it finishes (ttlSecondsAfterFinished)"]


def test_the_deadlines_of_a_job_are_said():
    load = job(activeDeadlineSeconds=600, template={"spec": {"activeDeadlineSeconds": 60}})
    suspect = pod("import-1", owner=load)
    said = list(workloads.observe(ref(load), World([load, suspect])).on_detach(ref(suspect)))
    assert said == [
        "Job todo-app/import ends the pods that it owns 600 s after its start (activeDeadlineSeconds); a detached pod lives on",
        "the kubelet ends Pod todo-app/import-1 60 s after its start (activeDeadlineSeconds), quarantined or not",
    ]


@pytest.mark.parametrize(("status", "ready"), [({}, False), ({"ready": 1}, True), ({"succeeded": 1}, True)])
def test_a_resumed_job_is_ready_when_a_pod_of_it_is(status, ready):
    load = job(status=status, completions=3)
    workload = workloads.observe(ref(load), World([load]))
    assert workload.ready() is ready
    assert workload.summary == f"0 active, {status.get('succeeded', 0)} of 3 done"


def test_a_cronjob_is_suspended_before_those_of_its_jobs_that_run():
    nightly = cronjob()
    running, over, other = job("nightly-2", owner=nightly), job("nightly-1", owner=nightly, over=True), job("else")
    mine, others = pod("nightly-2-x", owner=running), pod("else-x", owner=other)
    workload = workloads.observe(ref(nightly), World([nightly, running, over, other, mine, others]))
    first, second = patches(workload)
    assert (first.ref, first.ends) == (ref(nightly), ())
    assert (second.ref, names(second.ends)) == (ref(running), ["nightly-2-x"])
    assert [p["metadata"]["name"] for p in workload.pods] == ["nightly-2-x"]
    assert workload.summary == "at 0 3 * * *, 1 active Job"
    assert not workload.stopped


def test_missed_runs_of_a_cronjob_are_said():
    nightly, bounded = cronjob(), cronjob("bounded", startingDeadlineSeconds=100)
    world = World([nightly, bounded])
    (said,) = workloads.observe(ref(nightly), world).on_stop()
    assert said.startswith("runs of CronJob todo-app/nightly that are missed while it is suspended may start at once")
    assert list(workloads.observe(ref(bounded), world).on_stop()) == []


# bare pods


@pytest.mark.parametrize(("suspect", "said"), [
    (pod("bare"), "has no controller: there is nothing to scale down, and nothing replaces it"),
    (pod("static", annotations={"kubernetes.io/config.mirror": "x"}), "is a static pod"),
    (pod("runner", ownerReferences=[{"apiVersion": "x.example/v1", "kind": "Runner", "name": "r\x1b", "uid": "u", "controller": True}]),
     "belongs to Runner r\\x1b, which irkit can't stop"),
])  # fmt: skip
def test_a_bare_pod_is_never_touched_to_stop_it(suspect, said):
    workload = workloads.observe(ref(suspect), World([suspect]))
    assert (list(workload.stop()), list(workload.pods), workload.stopped) == ([], [], True)
    (text,) = workload.warnings(None)
    assert said in text
