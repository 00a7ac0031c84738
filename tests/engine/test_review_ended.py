"""Suspects that have ended, or are ending: their controllers never let go of them (seen with Kubernetes 1.35)."""

from __future__ import annotations

import time

import pytest

from irkit.app.respond import respond
from irkit.model.kube import DEPLOYMENTS, PODS, ObjectRef
from tests.engine.harness import Bench, bench


def suspect(b: Bench) -> ObjectRef:
    namespace, name = b.box.suspect
    return ObjectRef(resource=PODS, name=name, namespace=namespace)


def stopped(b: Bench) -> bool:
    return bool(b.ports.cluster.get(ObjectRef(resource=DEPLOYMENTS, name="backend", namespace=b.box.suspect[0]))["spec"]["replicas"] == 0)


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_has_ended_is_not_awaited_by_a_controller_that_keeps_it(tmp_path, phase):
    """An evicted pod: cut off, collected with its siblings, its workload stopped; at once, not after two minutes of waiting."""
    with bench(tmp_path) as b:
        b.ports.cluster.patch(suspect(b), {"status": {"phase": phase}}, subresource="status")
        b.box.settle()
        began = time.monotonic()
        result = respond(b.ports, b.request())
        assert time.monotonic() - began < 20
        assert stopped(b)
        found = {c["check"]: c for c in result.checks}
        assert [name for name, c in found.items() if c["holds"] is not True] == []
        assert f"had ended before this incident began (phase {phase})" in found["alive"]["summary"]
        assert result.exit_code == 0


def test_a_pod_that_is_being_deleted_is_not_awaited_either_and_said(tmp_path):
    with bench(tmp_path) as b:
        b.ports.cluster.patch(suspect(b), {"metadata": {"finalizers": ["example.com/hold"]}})
        b.ports.cluster.delete(suspect(b))
        b.box.settle()
        assert b.ports.cluster.get(suspect(b))["metadata"].get("deletionTimestamp")
        began = time.monotonic()
        result = respond(b.ports, b.request())
        assert time.monotonic() - began < 20
        assert stopped(b)
        assert result.exit_code == 5, "a pod that ends is not kept"
        told = [w for e in b.events for w in getattr(getattr(e, "header", None), "warnings", ())]
        assert [w for w in told if "is being deleted since" in w]
        b.ports.cluster.patch(suspect(b), {"metadata": {"finalizers": None}})
