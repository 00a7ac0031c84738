"""What would undo a containment is recognised from what it leaves on objects, and said; nothing is guessed."""

from __future__ import annotations

from typing import Any

import pytest

from irkit.model.kube import DEPLOYMENTS, HPAS, JOBS, REPLICASETS, STATEFULSETS, Obj
from irkit.reverters import RECOGNISERS, find_all
from irkit.reverters.keda import SCALEDOBJECTS
from tests.workloads.world import World, controlled_by, make, ref, scaled


def hpa(name: str, kind: str = "Deployment", target: str = "backend", *, low: int | None = 2, api: str = "apps/v1", **meta: Any) -> Obj:
    spec = {"scaleTargetRef": {"apiVersion": api, "kind": kind, "name": target}, "maxReplicas": 6} | ({} if low is None else {"minReplicas": low})
    return make(HPAS, name, spec=spec, **meta)


def effects(obj: Obj, *others: Obj, **world: Any) -> list[tuple[str, str]]:
    return [(r.kind, r.effect) for r in find_all(ref(obj), obj, World([obj, *others], **world))]


def backend(**meta: Any) -> Obj:
    return scaled(DEPLOYMENTS, "backend", **meta)


def managed(*entries: tuple[str, Obj]) -> list[Obj]:
    return [{"manager": name, "operation": "Update", "time": "2026-11-22T03:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": f} for name, f in entries]


REPLICAS: Obj = {"f:spec": {"f:replicas": {}}}


def test_nothing_reverts_a_plain_deployment_and_one_list_says_so():
    deployment = backend(managedFields=managed(("kubectl-client-side-apply", REPLICAS), ("kube-controller-manager", {"f:status": {}})))
    world = World([deployment])
    assert find_all(ref(deployment), deployment, world) == ()
    assert set(world.requests) == {"list horizontalpodautoscalers"}


def test_an_hpa_is_off_while_replicas_are_0():
    assert effects(backend(), hpa("backend")) == [
        ("hpa", "HorizontalPodAutoscaler todo-app/backend (2..6) is off while replicas are 0, and overwrites any other number.")]  # fmt: skip


def test_an_hpa_that_may_scale_to_0_may_scale_from_0():
    ((_, effect),) = effects(backend(), hpa("backend", low=0))
    assert effect == "HorizontalPodAutoscaler todo-app/backend (0..6) may scale Deployment todo-app/backend up from 0: its minimum is 0."


def test_the_minimum_of_an_hpa_defaults_to_1():
    ((_, effect),) = effects(backend(), hpa("backend", low=None))
    assert "(1..6)" in effect


@pytest.mark.parametrize("other", [
    hpa("x", target="frontend"), hpa("x", kind="StatefulSet"), hpa("x", api="argoproj.io/v1alpha1"), hpa("x", namespace="elsewhere"),
])  # fmt: skip
def test_hpas_of_others_are_not_named(other):
    assert effects(backend(), other) == []


def test_an_older_version_of_the_target_is_the_same_target():
    assert len(effects(scaled(STATEFULSETS, "db"), hpa("db", "StatefulSet", "db", api="apps/v1beta1"))) == 1


def test_what_is_not_served_does_not_exist():
    assert effects(backend(), unserved={"HorizontalPodAutoscaler"}) == []


def test_what_may_not_be_listed_is_said_once():
    ((kind, effect),) = effects(backend(), forbidden={"HorizontalPodAutoscaler"})
    assert kind == "unknown"
    assert effect == "Not known whether a HorizontalPodAutoscaler scales Deployment todo-app/backend: you may not list horizontalpodautoscalers."


def scaled_object(**annotations: str) -> Obj:
    return make(SCALEDOBJECTS, "backend-so", spec={"scaleTargetRef": {"name": "backend"}}, annotations=annotations)


@pytest.mark.parametrize(("annotations", "said"), [
    ({}, 'scales Deployment todo-app/backend up again when a trigger fires; its annotation autoscaling.keda.sh/paused-replicas: "0" pauses it.'),
    ({"autoscaling.keda.sh/paused-replicas": "0"}, "is paused at 0 replicas."),
    ({"autoscaling.keda.sh/paused-replicas": "4"}, "scales Deployment todo-app/backend up again"),
    ({"autoscaling.keda.sh/paused": "true"}, "is paused at the number of replicas that there are."),
])  # fmt: skip
def test_keda_is_asked_for_where_an_hpa_is_its_own(annotations, said):
    scaler = scaled_object(**annotations)
    for hint in (hpa("keda-hpa-backend-so"), hpa("renamed", ownerReferences=[controlled_by(scaler)])):
        ((kind, effect),) = effects(backend(), hint, scaler)
        assert kind == "keda"
        assert effect.startswith(f"ScaledObject todo-app/backend-so of KEDA {said}")


def test_keda_is_not_asked_for_without_a_hint():
    world = World([backend(), hpa("backend"), scaled_object()])
    deployment = world.objects[0]
    assert [r.kind for r in find_all(ref(deployment), deployment, world)] == ["hpa"]
    assert "list scaledobjects" not in world.requests


def test_keda_that_may_not_be_read_is_said():
    ((kind, effect),) = effects(backend(), hpa("keda-hpa-x"), scaled_object(), forbidden={"ScaledObject"})
    assert (kind, effect.startswith("Not known whether a ScaledObject scales")) == ("unknown", True)


@pytest.mark.parametrize(("meta", "name"), [
    ({"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:todo-app/backend"}}, "Argo CD Application shop"),
    ({"labels": {"argocd.argoproj.io/instance": "shop"}}, "Argo CD Application shop"),
    ({"labels": {"app.kubernetes.io/instance": "shop"}, "managedFields": managed(("argocd-controller", {}))}, "Argo CD Application shop"),
    ({"managedFields": managed(("argocd-controller", {}))}, "Argo CD"),
])  # fmt: skip
def test_argo_cd_is_known_by_what_it_writes(meta, name):
    deployment = backend(**meta)
    (found,) = find_all(ref(deployment), deployment, World([deployment]))
    assert (found.kind, found.name) == ("argocd", name)
    assert "skip-reconcile" in found.effect


def test_the_instance_label_alone_is_no_sign_of_argo_cd():
    assert effects(backend(labels={"app.kubernetes.io/instance": "backend"})) == []


FLUX = "kustomize.toolkit.fluxcd.io"


@pytest.mark.parametrize(("meta", "said"), [
    ({"labels": {f"{FLUX}/name": "apps", f"{FLUX}/namespace": "flux-system"}}, "Flux Kustomization flux-system/apps puts Deployment"),
    ({"labels": {f"{FLUX}/name": "apps"}, "annotations": {f"{FLUX}/reconcile": "Disabled"}}, "Flux Kustomization todo-app/apps leaves Deployment"),
    ({"labels": {"helm.toolkit.fluxcd.io/name": "web"}}, "Flux HelmRelease todo-app/web puts Deployment todo-app/backend back if it corrects drift"),
])  # fmt: skip
def test_flux_is_known_by_its_labels(meta, said):
    ((kind, effect),) = effects(backend(**meta))
    assert (kind, effect.startswith(said)) == ("flux", True)


@pytest.mark.parametrize(("meta", "name"), [
    ({"annotations": {"meta.helm.sh/release-name": "web", "meta.helm.sh/release-namespace": "todo-app"}}, "Helm release todo-app/web"),
    ({"labels": {"app.kubernetes.io/managed-by": "Helm"}}, "Helm"),
])  # fmt: skip
def test_helm_is_said_to_undo_nothing_by_itself(meta, name):
    ((kind, effect),) = effects(backend(**meta))
    assert (kind, effect) == ("helm", f"{name} does not undo changes by itself; its next upgrade sets Deployment todo-app/backend up again.")


def test_an_owner_that_irkit_does_not_know_may_set_it_up_again():
    rollout = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "web", "uid": "u"}}
    ((kind, effect),) = effects(scaled(REPLICASETS, "web-1", owner=rollout))
    assert kind == "operator"
    assert effect == "ReplicaSet todo-app/web-1 belongs to Rollout todo-app/web, which irkit can't stop; its controller may set it up again."


def test_an_owner_that_irkit_knows_is_no_operator():
    assert effects(scaled(REPLICASETS, "backend-1", owner=backend())) == []


def test_a_stranger_who_manages_the_replicas_is_named_once():
    entries = managed(("postgres-operator", REPLICAS), ("postgres-operator", REPLICAS), ("labeler", {"f:metadata": {}}), ("kubectl-scale", REPLICAS))
    ((kind, effect),) = effects(scaled(STATEFULSETS, "db", managedFields=entries))
    assert (kind, effect) == ("operator", "postgres-operator manages spec.replicas of StatefulSet todo-app/db, and may set it again.")


def test_for_a_job_it_is_the_field_that_suspends_it():
    job = make(JOBS, "import", managedFields=managed(("workflow", {"f:spec": {"f:suspend": {}}})))
    world = World([job])
    ((found),) = find_all(ref(job), job, world)
    assert found.effect == "workflow manages spec.suspend of Job todo-app/import, and may set it again."
    assert world.requests == [], "a Job has no autoscaler to ask for"


def test_what_strangers_wrote_is_escaped():
    evil = "\x1b[2J\u202e\n"
    meta = {
        "annotations": {"argocd.argoproj.io/tracking-id": evil, "meta.helm.sh/release-name": evil},
        "labels": {f"{FLUX}/name": evil},
        "managedFields": managed((evil, REPLICAS)),
        "ownerReferences": [{"apiVersion": "x/v1", "kind": evil, "name": evil, "uid": "u", "controller": True}],
    }
    deployment = backend(**meta)
    found = find_all(ref(deployment), deployment, World([deployment, hpa(evil)]))
    assert {r.kind for r in found} == {"hpa", "argocd", "flux", "helm", "operator"}
    assert all((r.name + r.effect).isprintable() for r in found)


def test_every_recogniser_has_a_kind_of_its_own():
    assert [r.kind for r in RECOGNISERS] == ["hpa", "keda", "argocd", "flux", "helm", "operator"]
