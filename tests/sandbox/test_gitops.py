"""Argo CD and Flux put back what they manage, until they are paused; irkit recognises them and pauses them so that they are."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from irkit.model import kube
from irkit.model.kube import Obj, Resource
from irkit.sandbox import Sandbox
from irkit.sandbox.controllers import argocd, flux
from tests.clocks import StepClock

APPLICATIONS, KUSTOMIZATIONS = argocd.APPLICATIONS.resource, flux.KUSTOMIZATIONS.resource
FLUX = {"kustomize.toolkit.fluxcd.io/name": "todo", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}


class World:
    """A Deployment and a NetworkPolicy out of Git."""

    def __init__(self, home: Path) -> None:
        self.clock = StepClock()
        self.box = Sandbox("empty", clock=self.clock, home=home, lag=0)
        argocd.serve(self.box.store.catalog)
        flux.serve(self.box.store.catalog)
        labels = {"app": "web"}
        pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "img:1"}]}}
        self.add("apps/v1", "Deployment", "web", {"replicas": 2, "selector": {"matchLabels": labels}, "template": pod})
        self.add("networking.k8s.io/v1", "NetworkPolicy", "web", {"podSelector": {"matchLabels": labels}, "ingress": []})

    def add(self, version: str, kind: str, name: str, spec: Obj, namespace: str = "default", **meta: Any) -> None:
        group = version.rpartition("/")[0]
        given = {"name": name, "namespace": namespace, "labels": {**FLUX, "tier": "front"},
                 "annotations": {argocd.TRACKING: f"todo:{group}/{kind}:{namespace}/{name}"}}  # fmt: skip
        self.box.store.add({"apiVersion": version, "kind": kind, "metadata": {**given, **meta}, "spec": spec})

    def application(self, **sync: object) -> None:
        spec = {"project": "default", "syncPolicy": {"automated": {"selfHeal": True, "prune": True, **sync}}}
        self.add("argoproj.io/v1alpha1", "Application", "todo", spec, "argocd", labels={}, annotations={})
        self.after(0)

    def kustomization(self) -> None:
        self.add(
            "kustomize.toolkit.fluxcd.io/v1", "Kustomization", "todo", {"interval": "1m", "prune": True}, "flux-system", labels={}, annotations={}
        )
        self.after(0)

    def after(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        self.box._manager.settle()
        assert not self.box.problems

    def patch(self, resource: Resource, patch: Obj, name: str = "web", namespace: str = "default") -> None:
        self.box.store.patch(resource, name, patch, namespace)
        self.after(0)

    def get(self, resource: Resource, name: str = "web", namespace: str = "default") -> Obj:
        found = self.box.store.find(resource, name, namespace)
        assert found is not None, f"{resource.plural} {name} is gone"
        return found

    @property
    def replicas(self) -> int:
        return int(self.get(kube.DEPLOYMENTS)["spec"]["replicas"])

    def synced(self) -> tuple[str, dict[str, str]]:
        status = self.get(APPLICATIONS, "todo", "argocd")["status"]
        return status["sync"]["status"], {r["kind"]: r["status"] for r in status["resources"]}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_argo_cd_says_what_it_manages(world: World) -> None:
    world.application()
    status = world.get(APPLICATIONS, "todo", "argocd")["status"]
    assert status["sync"]["status"] == "Synced"
    assert [r for r in status["resources"] if r["kind"] == "Deployment"] == [
        {"group": "apps", "version": "v1", "kind": "Deployment", "namespace": "default", "name": "web", "status": "Synced"}
    ]


def test_argo_cd_puts_replicas_labels_and_policies_back(world: World) -> None:
    world.application()
    world.patch(kube.DEPLOYMENTS, {"spec": {"replicas": 0}})
    assert world.replicas == 2
    assert "argocd-controller" in [entry["manager"] for entry in world.get(kube.DEPLOYMENTS)["metadata"]["managedFields"]]
    world.after(6)
    world.patch(kube.DEPLOYMENTS, {"metadata": {"labels": {"tier": "back"}}})
    assert world.get(kube.DEPLOYMENTS)["metadata"]["labels"]["tier"] == "front"
    world.after(6)
    world.patch(kube.NETWORKPOLICIES, {"spec": {"ingress": [{}]}})
    assert world.get(kube.NETWORKPOLICIES)["spec"]["ingress"] == []
    world.after(6)
    world.box.store.delete(kube.NETWORKPOLICIES, "web", "default")
    world.after(0)
    assert world.get(kube.NETWORKPOLICIES)["spec"]["podSelector"] == {"matchLabels": {"app": "web"}}
    assert world.synced() == ("Synced", {"Deployment": "Synced", "NetworkPolicy": "Synced"})


def test_what_others_add_stays(world: World) -> None:
    world.application()
    world.patch(kube.DEPLOYMENTS, {"metadata": {"labels": {"more": "x"}}, "spec": {"template": {"spec": {"nodeSelector": {"a": "b"}}}}})
    world.after(60)
    found = world.get(kube.DEPLOYMENTS)
    assert found["metadata"]["labels"]["more"] == "x"
    assert found["spec"]["template"]["spec"]["nodeSelector"] == {"a": "b"}


def test_argo_cd_heals_every_five_seconds_at_most(world: World) -> None:
    world.application()
    world.patch(kube.DEPLOYMENTS, {"spec": {"replicas": 0}})
    world.patch(kube.DEPLOYMENTS, {"spec": {"replicas": 0}})
    assert world.replicas == 0
    assert world.synced() == ("OutOfSync", {"Deployment": "OutOfSync", "NetworkPolicy": "Synced"})
    world.after(4)
    assert world.replicas == 0
    assert world.box.store.due == world.clock.now() + timedelta(seconds=1)
    world.after(1)
    assert world.replicas == 2


@pytest.mark.parametrize("pause", [{"metadata": {"annotations": {argocd.SKIP: "true"}}}, {"spec": {"syncPolicy": {"automated": None}}},
                                   {"spec": {"syncPolicy": {"automated": {"selfHeal": False}}}},
                                   {"spec": {"syncPolicy": {"automated": {"enabled": False}}}}])  # fmt: skip
def test_argo_cd_paused_leaves_things_alone_and_then_heals_again(world: World, pause: Obj) -> None:
    world.application()
    before = world.get(APPLICATIONS, "todo", "argocd")
    world.patch(APPLICATIONS, pause, "todo", "argocd")
    world.patch(kube.DEPLOYMENTS, {"spec": {"replicas": 0}})
    world.after(60)
    assert world.replicas == 0
    back = {"metadata": {"annotations": {argocd.SKIP: None}}, "spec": before["spec"]}
    world.patch(APPLICATIONS, {**back, "spec": {"syncPolicy": {"automated": {"selfHeal": True, "enabled": None}}}}, "todo", "argocd")
    assert world.replicas == 2


def test_differences_that_are_ignored(world: World) -> None:
    world.application()
    rule = {"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas", "/no/such", "~"]}
    world.patch(APPLICATIONS, {"spec": {"ignoreDifferences": [rule]}}, "todo", "argocd")
    world.patch(kube.DEPLOYMENTS, {"spec": {"replicas": 0}, "metadata": {"labels": {"tier": "back"}}})
    assert world.replicas == 0
    assert world.get(kube.DEPLOYMENTS)["metadata"]["labels"]["tier"] == "front"


def test_a_copied_tracking_id_counts_for_nothing(world: World) -> None:
    copied = {argocd.TRACKING: "todo:apps/Deployment:default/web"}
    world.add("networking.k8s.io/v1", "NetworkPolicy", "theirs", {"podSelector": {}}, annotations=copied)
    world.application()
    world.patch(kube.NETWORKPOLICIES, {"spec": {"egress": [{}]}}, "theirs")
    assert world.get(kube.NETWORKPOLICIES, "theirs")["spec"]["egress"] == [{}]


def test_flux_applies_at_each_interval_unless_it_is_suspended(world: World) -> None:
    world.kustomization()
    status = world.get(KUSTOMIZATIONS, "todo", "flux-system")["status"]
    assert {"id": "default_web_apps_Deployment", "v": "v1"} in status["inventory"]["entries"]
    world.patch(kube.DEPLOYMENTS, {"spec": {"replicas": 0}})
    world.after(59)
    assert world.replicas == 0
    world.after(1)
    assert world.replicas == 2
    world.patch(KUSTOMIZATIONS, {"spec": {"suspend": True}}, "todo", "flux-system")
    world.patch(kube.DEPLOYMENTS, {"spec": {"replicas": 0}})
    world.after(600)
    assert world.replicas == 0
    world.patch(KUSTOMIZATIONS, {"spec": {"suspend": None}}, "todo", "flux-system")
    assert world.replicas == 2


def test_flux_looks_when_it_is_asked_and_leaves_alone_what_says_so(world: World) -> None:
    world.kustomization()
    world.patch(kube.DEPLOYMENTS, {"spec": {"replicas": 0}})
    world.patch(KUSTOMIZATIONS, {"metadata": {"annotations": {flux.REQUESTED: "now"}}}, "todo", "flux-system")
    assert world.replicas == 2
    disabled = {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}
    world.patch(kube.DEPLOYMENTS, {"spec": {"replicas": 0}, "metadata": {"annotations": disabled}})
    world.after(120)
    assert world.replicas == 0


def test_a_namespace_that_ends_is_not_filled_again(world: World) -> None:
    world.application()
    world.box.store.delete(kube.NAMESPACES, "default")
    for resource in (kube.DEPLOYMENTS, kube.NETWORKPOLICIES):
        world.box.store.delete(resource, "web", "default")
    world.after(60)
    assert world.box.store.find(kube.DEPLOYMENTS, "web", "default") is None
