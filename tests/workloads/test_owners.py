"""Who owns a pod, as far as that can be believed, and which of them is its workload."""

from __future__ import annotations

import pytest

from irkit import workloads
from irkit.model.kube import (
    DEPLOYMENTS,
    PODS,
    REPLICASETS,
    Obj,
)
from tests.workloads.world import World, controlled_by, cronjob, deployed, job, pod, ref, scaled


def chain(suspect: Obj, world: World) -> list[str]:
    return [f"{r.kind} {r.name}" for r in workloads.owner_chain(suspect, world)]


def test_the_owners_of_a_pod_nearest_first():
    deployment, revision, (suspect, *_) = deployed("backend")
    world = World([deployment, revision])
    found = workloads.owner_chain(suspect, world)
    assert found == (ref(revision), ref(deployment))
    assert workloads.workload_of(suspect, found) == ref(deployment)
    assert world.requests == ["list replicasets", "get deployments"]


def test_the_pod_of_a_cronjobs_job_is_the_cronjobs():
    nightly = cronjob()
    run = job("nightly-1", owner=nightly)
    suspect = pod("nightly-1-x", owner=run)
    found = workloads.owner_chain(suspect, World([nightly, run]))
    assert workloads.workload_of(suspect, found) == ref(nightly)


def test_a_bare_pod_is_its_own_workload():
    suspect = pod("bare")
    assert workloads.workload_of(suspect, workloads.owner_chain(suspect, World())) == ref(suspect)


def test_an_owner_reference_that_does_not_control_is_none():
    suspect = pod("bare", ownerReferences=[{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": "u"}])
    assert chain(suspect, World()) == []


def test_a_dangling_or_forged_reference_ends_the_chain():
    deployment, revision, (suspect, *_) = deployed("backend")
    replaced = scaled(DEPLOYMENTS, "backend")  # the same name, another uid
    assert chain(suspect, World([revision, replaced])) == ["ReplicaSet backend-7c7c86686d"]
    assert chain(suspect, World([deployment])) == []


def test_an_unknown_owner_is_the_last_and_its_child_the_workload():
    rollout = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "web", "uid": "uid-rollout"}}
    revision = scaled(REPLICASETS, "web-1", owner=rollout)
    suspect = pod("web-1-x", owner=revision)
    found = workloads.owner_chain(suspect, World([revision]))
    assert [str(r) for r in found] == ["ReplicaSet todo-app/web-1", "Rollout todo-app/web"]
    assert (found[1].resource.group, found[1].resource.plural) == ("argoproj.io", "rollouts")
    assert workloads.workload_of(suspect, found) == ref(revision)


def test_a_static_pods_node_is_no_workload():
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1", "uid": "uid-node"}}
    suspect = pod("etcd-node-1", owner=node)
    (owner,) = workloads.owner_chain(suspect, World())
    assert (str(owner), owner.namespace) == ("Node node-1", "")
    assert workloads.workload_of(suspect, (owner,)).resource == PODS


def test_an_owner_that_may_not_be_read_is_kept_by_name():
    deployment, revision, (suspect, *_) = deployed("backend")
    assert chain(suspect, World([deployment, revision], forbidden={"ReplicaSet"})) == ["ReplicaSet backend-7c7c86686d"]
    assert chain(suspect, World([deployment, revision], forbidden={"Deployment"})) == ["ReplicaSet backend-7c7c86686d", "Deployment backend"]


def test_owners_that_own_each_other_end():
    one, two = scaled(REPLICASETS, "one"), scaled(REPLICASETS, "two")
    one["metadata"]["ownerReferences"] = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "two", "uid": two["metadata"]["uid"],
                                           "controller": True}]  # fmt: skip
    two["metadata"]["ownerReferences"] = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "one", "uid": one["metadata"]["uid"],
                                           "controller": True}]  # fmt: skip
    assert chain(pod("x", owner=one), World([one, two])) == ["ReplicaSet one"], "no ReplicaSet owns another"


@pytest.mark.parametrize("forged", ["by labels", "by kind"])
def test_an_owner_that_would_not_keep_the_pod_is_not_believed(forged: str):
    """Whoever may write a pod may name any owner, uid and all."""
    deployment, revision, (suspect, *_) = deployed("backend")
    if forged == "by labels":
        suspect["metadata"]["labels"] = {"app": "frontend"}
    else:
        suspect["metadata"]["ownerReferences"] = [controlled_by(deployment)]
    found = workloads.owner_chain(suspect, World([deployment, revision]))
    assert found == ()
    assert workloads.workload_of(suspect, found) == ref(suspect)
