"""Going on with what there is: which incident is meant, and what this run was asked for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from irkit.app import incidents
from irkit.app import lift as lifting
from irkit.app.going_on import resume
from irkit.app.respond import Request, respond
from irkit.engine.home import Home
from irkit.engine.journal import Journal
from irkit.errors import HeldError, UnreachableError, UsageError
from irkit.model.kube import DEPLOYMENTS, LEASES, NAMESPACES, PODS, ObjectRef
from tests.engine.harness import Bench, bench


def replicas(b: Bench) -> int:
    found: int = b.ports.cluster.get(ObjectRef(resource=DEPLOYMENTS, name="backend", namespace=b.box.suspect[0]))["spec"]["replicas"]
    return found


def frontend(b: Bench) -> str:
    pods = b.ports.cluster.list(PODS, b.box.suspect[0])
    return str(next(p["metadata"]["name"] for p in pods if p["metadata"]["name"].startswith("frontend")))


def evidence_of(b: Bench, target: str) -> Request:
    return Request(command="collect", playbook="collect-only", target=target, namespace=b.box.suspect[0], read_only=True)


class Deaf:
    """A cluster whose nodes do not answer for logs."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    def logs(self, *_: Any, **__: Any) -> Any:
        raise UnreachableError("the node does not answer")


def test_keep_workload_is_obeyed_by_the_run_that_says_so(tmp_path):
    """The first run was declined before its scale-down. Whoever now says --keep-workload, with --yes, must not see it stopped."""
    with bench(tmp_path) as b:
        b.approver.answers = (True, False)
        first = respond(b.ports, b.request())
        b.approver.answers = ()
        second = respond(b.ports, b.request(keep_workload=True))
        assert (second.incident, second.exit_code) == (first.incident, 0)
        assert replicas(b) > 0


def test_resume_takes_the_incident_that_has_something_left_not_the_newest(tmp_path):
    with bench(tmp_path) as b:
        b.approver.answers = (True, False)
        first = respond(b.ports, b.request())
        b.ports.clock.sleep(1.1)  # ids sort by the second
        respond(b.ports, evidence_of(b, frontend(b)))
        assert [i["status"] for i in incidents.summaries(b.ports.settings)] == ["done", "open"]
        assert resume(b.ports, None).incident == first.incident
        assert [i["status"] for i in incidents.summaries(b.ports.settings)] == ["done", "contained"]


def test_lift_takes_the_incident_that_has_something_to_lift(tmp_path):
    with bench(tmp_path) as b:
        first = respond(b.ports, b.request())
        b.ports.clock.sleep(1.1)
        second = respond(b.ports, b.request(target=frontend(b)))
        assert lifting.lift(b.ports, None, "keep").incident == second.incident
        assert lifting.lift(b.ports, None, "keep").incident == first.incident


def test_an_incident_that_changed_nothing_is_not_called_lifted(tmp_path):
    with bench(tmp_path) as b:
        only = respond(b.ports, evidence_of(b, b.box.suspect[1]))
        with pytest.raises(UsageError, match="changed nothing"):
            lifting.lift(b.ports, only.incident, "keep")


def test_a_dry_run_on_a_contained_pod_shows_what_containing_it_would_do(tmp_path):
    with bench(tmp_path) as b:
        b.approver.answers = (True, False)
        first = respond(b.ports, b.request())
        before = len(b.lines())
        shown = respond(b.ports, b.request(dry_run=True))
        writes = [c["title"] for s in shown.steps for c in s.changes if c["change"] in ("create", "patch", "delete")]
        assert (shown.incident, shown.outcome, len(writes)) == (first.incident, "planned", 1)
        assert writes[0].startswith("scale")
        assert len(b.lines()) == before


@pytest.mark.parametrize("at_once", [True, False])
def test_a_reason_lets_pods_end_whose_evidence_can_not_be_got(tmp_path, at_once):
    """decision 6: a node that is down keeps its workload running until somebody says otherwise."""
    with bench(tmp_path) as b:
        ports = msgspec.structs.replace(b.ports, cluster=Deaf(b.ports.cluster))
        if not at_once:
            assert respond(ports, b.request()).exit_code == 6
            assert replicas(b) > 0
        result = respond(ports, b.request(without_evidence="the node is down"))
        assert replicas(b) == 0
        assert result.exit_code == 6, "the evidence is incomplete all the same"
        waiver, evidence = b.state().waiver, result.evidence
        assert waiver is not None
        assert waiver.reason == "the node is down"
        assert evidence is not None
        assert evidence.bundle, "what was got is sealed, with its gaps"
        assert evidence.missing


def test_going_on_with_a_collection_writes_nothing_to_the_cluster(tmp_path):
    with bench(tmp_path) as b:
        b.ports.cluster.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "irkit-system"}})
        assert respond(msgspec.structs.replace(b.ports, cluster=Deaf(b.ports.cluster)), evidence_of(b, b.box.suspect[1])).exit_code == 6
        before = len(b.writes())
        assert resume(b.ports, None).exit_code == 0
        assert len(b.writes()) == before
        assert b.ports.cluster.list(LEASES, "irkit-system") == []


def test_a_journal_has_one_writer(tmp_path):
    with bench(tmp_path) as b:
        only = respond(b.ports, evidence_of(b, b.box.suspect[1]))
        assert only.incident is not None
        held = Journal(Home(b.home).journal(only.incident), b.ports.clock)
        with pytest.raises(HeldError):
            resume(b.ports, only.incident)
        held.close()
        assert resume(b.ports, only.incident).exit_code == 0
