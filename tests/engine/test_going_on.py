"""What resume, contain and lift do with an incident that is there already."""

from __future__ import annotations

import pytest

from irkit.app import lift as lifting
from irkit.app.going_on import resume
from irkit.app.respond import respond
from irkit.errors import Declined, UsageError
from irkit.model.kube import DEPLOYMENTS, NETWORKPOLICIES, PODS, ObjectRef
from tests.engine.harness import bench


def test_containing_a_contained_pod_joins_its_incident_and_writes_nothing(tmp_path):
    with bench(tmp_path) as b:
        first = respond(b.ports, b.request())
        before = len(b.writes())
        second = respond(b.ports, b.request())
        assert (second.incident, second.exit_code, second.evidence) == (first.incident, 0, first.evidence)
        assert len(b.writes()) == before


def test_a_lifted_incident_is_not_contained_again_by_resume(tmp_path):
    with bench(tmp_path) as b:
        first = respond(b.ports, b.request())
        lifting.lift(b.ports, None, "keep")
        before = len(b.writes())
        with pytest.raises(UsageError, match="anything left"):
            resume(b.ports, None)
        assert resume(b.ports, first.incident).incident == first.incident
        assert len(b.writes()) == before


def test_a_lift_that_is_not_finished_is_gone_on_with_by_lift(tmp_path):
    with bench(tmp_path) as b:
        first = respond(b.ports, b.request())
        namespace, _ = b.box.suspect
        b.ports.cluster.patch(_deployment(namespace), {"spec": {"replicas": 1}}, subresource="scale")  # a conflict: the lift ends with 5
        assert lifting.lift(b.ports, None, "return").exit_code == 5
        with pytest.raises(UsageError, match="is being lifted"):
            resume(b.ports, first.incident)


def test_after_keep_the_pod_can_still_be_returned_or_deleted(tmp_path):
    with bench(tmp_path) as b:
        first = respond(b.ports, b.request())
        assert lifting.lift(b.ports, None, "keep").exit_code == 0
        last = lifting.lift(b.ports, None, "delete")
        assert (last.incident, last.exit_code) == (first.incident, 0)
        with pytest.raises(UsageError):
            lifting.lift(b.ports, None, "delete")


def test_a_pod_of_an_earlier_rollout_is_not_returned_to_be_deleted(tmp_path):
    """Its ReplicaSet has no replicas any more: with its labels back it would be adopted and deleted at once."""
    with bench(tmp_path) as b:
        namespace, name = b.box.suspect
        respond(b.ports, b.request())
        template = {"spec": {"template": {"metadata": {"annotations": {"rolled": "out"}}}}}
        b.ports.cluster.patch(_deployment(namespace), template)
        b.box.settle()
        result = lifting.lift(b.ports, None, "return")
        b.box.settle()
        assert result.exit_code == 5
        assert "rolled out since" in result.steps[0].why
        pods = {p["metadata"]["name"]: p for p in b.ports.cluster.list(PODS, namespace)}
        assert pods[name]["metadata"]["labels"]["quarantine"] == "true"
        assert any(p["metadata"]["name"].startswith("irkit-") for p in b.ports.cluster.list(NETWORKPOLICIES, namespace)), "never more open"
        assert lifting.lift(b.ports, None, "delete").exit_code == 0


def test_declining_the_first_question_leaves_nothing_behind(tmp_path):
    with bench(tmp_path) as b:
        b.approver.answers = (False,)
        with pytest.raises(Declined, match="nothing was changed"):
            respond(b.ports, b.request())
        assert b.writes() == []
        assert not (b.home / "incidents").exists()


def _deployment(namespace: str):
    return ObjectRef(resource=DEPLOYMENTS, name="backend", namespace=namespace)
