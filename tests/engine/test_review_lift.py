"""What a lift must not do: end what nobody collected, or open the pod more than it was."""

from __future__ import annotations

from typing import Any

import msgspec

from irkit.app import lift as lifting
from irkit.app.respond import respond
from irkit.model.changes import Capture
from irkit.model.kube import NETWORKPOLICIES, PODS, ObjectRef, labels_of
from irkit.model.outcome import Done
from tests.engine.harness import Bench, Witness, bench


def suspect(b: Bench) -> ObjectRef:
    namespace, name = b.box.suspect
    return ObjectRef(resource=PODS, name=name, namespace=namespace)


def test_the_replacement_that_makes_way_for_the_returning_pod_is_collected_first(tmp_path):
    """It started only when the lift brought the workload back."""
    with bench(tmp_path) as b:
        respond(b.ports, b.request())
        unkept: list[set[str]] = []

        def before(verb: str, what: Any) -> None:
            if verb == "patch" and isinstance(what, ObjectRef) and what.kind == "Pod":
                captured = {
                    i.change.pod.uid for i, o in b.state().done() + b.state().done("lift") if isinstance(i.change, Capture) and isinstance(o, Done)
                }
                unkept.append({p["metadata"]["uid"] for p in b.ports.cluster.list(PODS, b.box.suspect[0], labels="app=backend")} - captured)

        ports = msgspec.structs.replace(b.ports, cluster=Witness(b.ports.cluster, before, lambda *_: None))
        assert lifting.lift(ports, None, "return").exit_code == 0
        assert len(b.approver.asked) == 3, "one question for the whole lift"
        assert unkept[0] == set()


def test_a_pod_whose_labels_others_took_keeps_its_policy(tmp_path):
    """With a label of the frontend's and irkit's policy gone, it could do what the frontend may."""
    with bench(tmp_path) as b:
        respond(b.ports, b.request())
        b.ports.cluster.patch(suspect(b), {"metadata": {"labels": {"app": "frontend"}}})
        result = lifting.lift(b.ports, None, "return")
        assert result.exit_code == 5
        assert labels_of(b.ports.cluster.get(suspect(b)))["quarantine"] == "true"
        assert [p for p in b.ports.cluster.list(NETWORKPOLICIES, b.box.suspect[0]) if p["metadata"]["name"].startswith("irkit-")]
        assert any("more open than before" in getattr(e, "text", "") for e in b.events)
