"""The world moves while a containment goes on: pods come, the suspect goes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from irkit.app.respond import respond
from irkit.model.changes import Capture
from irkit.model.kube import DEPLOYMENTS, PODS, ObjectRef
from irkit.model.outcome import Done
from tests.engine.harness import Bench, Witness, bench


def suspect(b: Bench) -> ObjectRef:
    namespace, name = b.box.suspect
    return ObjectRef(resource=PODS, name=name, namespace=namespace)


def replicas(b: Bench) -> int:
    found: int = b.ports.cluster.get(ObjectRef(resource=DEPLOYMENTS, name="backend", namespace=b.box.suspect[0]))["spec"]["replicas"]
    return found


def test_pods_that_come_while_a_person_thinks_are_collected_before_they_end(tmp_path):
    """The plan that the question shows is older than its answer."""
    with bench(tmp_path) as b:
        namespace, _ = b.box.suspect
        ended: set[str] = set()

        def all_are_replaced() -> None:
            for pod in b.ports.cluster.list(PODS, namespace, labels="app=backend"):
                b.ports.cluster.delete(ObjectRef(resource=PODS, name=pod["metadata"]["name"], namespace=namespace))
            b.box.settle()

        def before(verb: str, what: Any) -> None:
            if isinstance(what, ObjectRef) and what.kind == "Deployment":
                ended.update(p["metadata"]["uid"] for p in b.ports.cluster.list(PODS, namespace, labels="app=backend"))

        b.approver.before = {1: all_are_replaced}
        ports = msgspec.structs.replace(b.ports, cluster=Witness(b.ports.cluster, before, lambda *_: None))
        assert respond(ports, b.request()).exit_code == 0
        captured = {i.change.pod.uid for i, o in b.state().done() if isinstance(i.change, Capture) and isinstance(o, Done)}
        assert ended
        assert ended <= captured
        assert len(b.approver.asked) == 2, "that other pods end than were shown needs no new question"


@pytest.mark.parametrize("when", ["before its labels are changed", "after"])
def test_a_suspect_that_ends_meanwhile_does_not_end_the_containment(tmp_path, when):
    """What it came from may have been compromised the same way: its siblings are collected, its workload is stopped."""
    with bench(tmp_path) as b:

        def it_ends(verb: str, what: Any) -> None:
            if isinstance(what, ObjectRef) and what.kind == "Pod":
                b.ports.cluster.delete(suspect(b))
                b.box.settle()

        before, after = (it_ends, lambda *_: None) if when.startswith("before") else (lambda *_: None, it_ends)
        result = respond(msgspec.structs.replace(b.ports, cluster=Witness(b.ports.cluster, before, after)), b.request())
        assert replicas(b) == 0
        assert result.isolation is not None
        assert result.isolation["verdict"] == "gone"
        assert {c["check"]: c["holds"] for c in result.checks}["alive"] is False
        assert result.exit_code == 5
        assert result.evidence is not None
        assert [gap for gap in result.evidence.missing if suspect(b).name in gap["what"]]
