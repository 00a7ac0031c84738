"""What would undo a stop is paused with it, reversibly, and goes on when the workload is back or the incident is lifted."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from irkit.app import lift as lifting
from irkit.app.respond import respond
from irkit.app.verify import verify
from irkit.engine.events import Planned
from irkit.model.changes import Patch
from irkit.model.kube import HPAS, Obj, ObjectRef, Resource, annotations_of, at
from irkit.reverters.argocd import APPLICATIONS
from irkit.reverters.keda import SCALEDOBJECTS
from tests.engine.harness import Bench, bench
from tests.recovery.world import BACKEND, NEW, Way, add, backend, contained, image_of, put_back

KUSTOMIZATIONS = Resource("kustomize.toolkit.fluxcd.io", "v1", "kustomizations", "Kustomization")
HELMRELEASES = Resource("helm.toolkit.fluxcd.io", "v2beta2", "helmreleases", "HelmRelease")
APPLICATION = {"metadata": {"name": "shop", "namespace": "argocd"},
               "status": {"resources": [{"group": "apps", "kind": "Deployment", "namespace": "todo-app", "name": "backend"}]}}  # fmt: skip
KUSTOMIZATION = {"metadata": {"name": "shop", "namespace": "flux-system"}, "spec": {"path": "./shop"},
                 "status": {"inventory": {"entries": [{"id": "todo-app_backend_apps_Deployment", "v": "v1"}]}}}  # fmt: skip
SCALED = {"metadata": {"name": "backend-so", "namespace": "todo-app"}, "spec": {"scaleTargetRef": {"name": "backend"}}}
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "backend"}
HINT = {"metadata": {"name": "keda-hpa-backend-so", "namespace": "todo-app"}, "spec": {"scaleTargetRef": TARGET, "maxReplicas": 6}}
SKIP, PAUSED = "argocd.argoproj.io/skip-reconcile", "autoscaling.keda.sh/paused-replicas"
FLUX = {"kustomize.toolkit.fluxcd.io/name": "shop", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
KINDS: dict[str, tuple[Resource, Obj, tuple[str, ...], object]] = {
    "argocd": (APPLICATIONS, APPLICATION, ("metadata", "annotations", SKIP), "true"),
    "flux": (KUSTOMIZATIONS, KUSTOMIZATION, ("spec", "suspend"), True),
    "keda": (SCALEDOBJECTS, SCALED, ("metadata", "annotations", PAUSED), "0"),
}


def managed(b: Bench, kind: str) -> ObjectRef:
    """The backend under the hand of this reverter, as if that had deployed it."""
    resource, obj, _, _ = KINDS[kind]
    add(b, resource, obj)
    if kind == "keda":
        b.ports.cluster.create(HPAS, {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", **HINT})
    labels = FLUX if kind == "flux" else {}
    annotations = {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:todo-app/backend"} if kind == "argocd" else {}
    b.ports.cluster.patch(BACKEND, {"metadata": {"labels": labels, "annotations": annotations}})
    return ObjectRef(resource=resource, name=obj["metadata"]["name"], namespace=obj["metadata"]["namespace"])


def stopped(b: Bench, kind: str) -> tuple[ObjectRef, Any]:
    """Contained; returns the reverter and how to read its pause."""
    ref, path = managed(b, kind), KINDS[kind][2]
    result = respond(b.ports, b.request())
    assert result.exit_code == 0, result
    return ref, lambda: at(b.ports.cluster.get(ref), path)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_paused_with_the_workload_and_goes_on_with_it(tmp_path, kind):
    with bench(tmp_path, recovery={"settle": 0.1}) as b:
        b.ports = msgspec.structs.replace(b.ports, outward=Way())
        _, pause = stopped(b, kind)
        assert pause() == KINDS[kind][3]
        assert any("pause" in i.change.why for i, _ in b.state().undone() if isinstance(i.change, Patch))
        assert any("held" in r.detail for r in b.state().results.values() if hasattr(r, "detail")), "looked at again after a while"
        assert {c["check"]: c["holds"] for c in verify(b.ports, None, None, "").checks}["held"] is True
        result = put_back(b)
        assert result.exit_code == 0, result
        assert pause() is None
        assert (image_of(b), backend(b)["spec"]["replicas"]) == (NEW, 3)
        asked = [q for q in b.approver.asked if "Git" in q]
        assert len(asked) == (0 if kind == "keda" else 1), "GitOps would bring the old image back: that is asked about before it goes on"


@pytest.mark.parametrize("kind", KINDS)
def test_a_lift_takes_the_pause_back(tmp_path, kind):
    with bench(tmp_path, recovery={"settle": 0.1}) as b:
        _, pause = stopped(b, kind)
        assert lifting.lift(b.ports, None, "keep").exit_code == 0
        assert pause() is None
        assert backend(b)["spec"]["replicas"] == 3


def test_whoever_does_not_want_the_old_image_back_leaves_gitops_paused(tmp_path):
    with bench(tmp_path, recovery={"settle": 0.1}) as b:
        b.ports = msgspec.structs.replace(b.ports, outward=Way())
        _, pause = stopped(b, "argocd")
        b.approver.asked.clear()
        b.approver.answers = (True, False)
        result = put_back(b)
        assert result.exit_code == 3
        assert "brings back the image that stands in Git" in result.steps[0].why
        assert (pause(), image_of(b), backend(b)["spec"]["replicas"]) == ("true", NEW, 3)


def test_gitops_stays_paused_where_nobody_can_look_into_git(tmp_path):
    """--yes is no answer to what stands in Git: the old image would be back within seconds, and called recovered."""
    with bench(tmp_path) as b:
        b.ports = msgspec.structs.replace(b.ports, outward=Way())
        _, pause = stopped(b, "argocd")
        b.approver.interactive = False
        result = put_back(b)
        assert (result.exit_code, image_of(b), pause()) == (3, NEW, "true")
        (failed,) = (s for s in result.steps if s.outcome == "declined")
        assert "what Git names is not known here" in failed.why
        assert "nobody is here who could look there" in failed.why


def test_what_reverts_a_stop_is_named(tmp_path):
    with bench(tmp_path, recovery={"settle": 0.3}) as b:
        managed(b, "argocd")
        original = b.ports.clock.sleep

        class Clock:
            """Somebody scales the workload up while irkit waits to look again."""

            now, monotonic = b.ports.clock.now, b.ports.clock.monotonic

            def sleep(self, seconds: float) -> None:
                if seconds == 0.3:
                    b.ports.cluster.patch(BACKEND, {"spec": {"replicas": 2}}, subresource="scale")
                original(seconds)

        b.ports = msgspec.structs.replace(b.ports, clock=Clock())
        result = respond(b.ports, b.request())
        assert result.exit_code == 5
        assert "was stopped, and reverted" in next(s.why for s in result.steps if s.outcome == "failed")


def test_a_reverter_that_may_not_be_patched_is_said_and_stops_nothing(tmp_path):
    with bench(tmp_path, recovery={"settle": 0.1}) as b:
        ref = managed(b, "argocd")

        class Limited:
            def __init__(self, cluster: Any) -> None:
                self._cluster = cluster

            def __getattr__(self, name: str) -> Any:
                return getattr(self._cluster, name)

            def can(self, permission: Any) -> bool:
                return bool(permission.resource != "applications")

        b.ports = msgspec.structs.replace(b.ports, cluster=Limited(b.ports.cluster))
        result = respond(b.ports, b.request())
        assert result.exit_code == 0
        assert at(b.ports.cluster.get(ref), KINDS["argocd"][2]) is None
        (header,) = [e.header for e in b.events if isinstance(e, Planned)]
        assert any("is not paused: you may not patch Application argocd/shop" in w for w in header.warnings)


@pytest.mark.parametrize("status", [{}, {"resources": [{"group": "apps", "kind": "Deployment", "namespace": "todo-app", "name": "frontend"}]}])
def test_an_application_that_does_not_know_the_workload_is_not_paused(tmp_path, status):
    """Whoever may write the workload may name any Application."""
    with bench(tmp_path, recovery={"settle": 0.1}) as b:
        add(b, APPLICATIONS, {**APPLICATION, "status": status})
        b.ports.cluster.patch(BACKEND, {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "shop:x"}}})
        assert respond(b.ports, b.request()).exit_code == 0
        ref = ObjectRef(resource=APPLICATIONS, name="shop", namespace="argocd")
        assert annotations_of(b.ports.cluster.get(ref)) == {}


def test_an_older_flux_is_found_by_its_older_version(tmp_path):
    with bench(tmp_path, recovery={"settle": 0.1}) as b:
        add(b, HELMRELEASES, {"metadata": {"name": "shop", "namespace": "todo-app"}, "spec": {"interval": "5m"}})
        labels = {"helm.toolkit.fluxcd.io/name": "shop", "helm.toolkit.fluxcd.io/namespace": "todo-app"}
        b.ports.cluster.patch(BACKEND, {"metadata": {"labels": labels}})
        assert respond(b.ports, b.request()).exit_code == 0
        ref = ObjectRef(resource=HELMRELEASES, name="shop", namespace="todo-app")
        assert b.ports.cluster.get(ref)["spec"]["suspend"] is True


def test_contained_is_still_quick_where_nothing_reverts(tmp_path):
    with contained(tmp_path) as b:
        assert not [i for i in b.state().intents.values() if getattr(i.change, "condition", "") == "held"]
