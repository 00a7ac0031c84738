"""What is said on the screen is what is known."""

from __future__ import annotations

import io
from typing import Any

import msgspec

from irkit.app.respond import respond
from irkit.cli import outcome
from irkit.cli.output import Out
from irkit.cli.render import Progress
from irkit.errors import UnreachableError
from irkit.model.kube import EVENTS, PODS, ObjectRef
from tests.engine.harness import Bench, bench

PLAYBOOK = """\
apiVersion: irkit.dev/v1
kind: Playbook
metadata: {name: mine, title: Mine, severity: low, runbook: mine.md}
parameters: {pod: {type: pod, required: true}}
phases:
  containment:
    - {id: cut, step: quarantine, with: {pod: "${pod}"}%s}
    - {id: keep, step: collect, with: {pods: "${pod.siblings}"}}
    - {id: stop, step: scale-down, with: {workload: "${pod.workload}"}}
"""


def told(b: Bench, result: Any) -> str:
    out = io.StringIO()
    outcome.tell(Out(out), result, b.ports.settings)
    return out.getvalue()


def watched(b: Bench) -> tuple[Any, io.StringIO]:
    out = io.StringIO()
    return msgspec.structs.replace(b.ports, listen=Progress(Out(out))), out


def playbook(folder: Any, extra: str = "") -> str:
    (folder / "mine.md").write_text("# mine\n")
    (folder / "mine.yaml").write_text(PLAYBOOK % extra)
    return str(folder / "mine.yaml")


def test_asked_again_is_said_of_the_steps_that_ask(tmp_path):
    with bench(tmp_path) as b:
        ports, screen = watched(b)
        respond(ports, b.request(playbook=playbook(tmp_path), phase=""))
        assert len(b.approver.asked) == 1
        assert "asked again" not in screen.getvalue()
    (tmp_path / "2").mkdir()
    with bench(tmp_path / "2") as b:
        ports, screen = watched(b)
        respond(ports, b.request(playbook=playbook(tmp_path, ", confirm: ask"), phase=""))
        assert len(b.approver.asked) == 2
        assert screen.getvalue().index("asked again before") < screen.getvalue().index("relabel")


def test_alive_is_said_where_it_was_checked(tmp_path):
    with bench(tmp_path) as b:
        result = respond(b.ports, b.request(playbook=playbook(tmp_path), phase=""))
        assert "is alive" not in told(b, result)
        assert f"Contained. {b.box.suspect[1]} is cut off." in told(b, result)


def test_a_pod_that_no_policy_holds_is_not_cut_off_except_for_something(tmp_path):
    with bench(tmp_path) as b:
        namespace, name = b.box.suspect
        host = b.ports.cluster.get(ObjectRef(resource=PODS, name=name, namespace=namespace))
        bare = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "host", "namespace": namespace},
                "spec": {"hostNetwork": True, "containers": host["spec"]["containers"]}}  # fmt: skip
        b.ports.cluster.create(PODS, bare)
        b.box.settle()
        result = respond(b.ports, b.request(target="host"))
        assert result.exit_code == 5
        assert "5: host is not cut off: 2 leaks" in told(b, result)


def test_pods_without_evidence_are_not_called_collected(tmp_path):
    class Deaf:
        def __getattr__(self, name: str) -> Any:
            return getattr(b.ports.cluster, name)

        def logs(self, *_: Any, **__: Any) -> Any:
            raise UnreachableError("the node does not answer")

    with bench(tmp_path) as b:
        ports = msgspec.structs.replace(b.ports, cluster=Deaf())
        respond(ports, b.request(without_evidence="the node is down"))
        assert "of them without their evidence" in b.approver.asked[1]


def test_what_falls_away_of_a_pod_that_is_gone_is_not_pending(tmp_path):
    with bench(tmp_path) as b:
        namespace, name = b.box.suspect
        image = b.ports.cluster.get(ObjectRef(resource=PODS, name=name, namespace=namespace))["spec"]["containers"]
        b.ports.cluster.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "solo", "namespace": namespace},
                                      "spec": {"containers": image}})  # fmt: skip
        b.box.settle()
        solo = b.ports.cluster.get(ObjectRef(resource=PODS, name="solo", namespace=namespace))
        about = {"kind": "Pod", "name": "solo", "namespace": namespace, "uid": solo["metadata"]["uid"]}
        event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "solo.1", "namespace": namespace}, "involvedObject": about,
                 "reason": "Started", "message": "", "lastTimestamp": "2026-11-22T03:00:00Z"}  # fmt: skip
        b.ports.cluster.create(EVENTS, event)
        b.ports.cluster.delete(ObjectRef(resource=PODS, name="solo", namespace=namespace))
        b.box.settle()
        result = respond(b.ports, b.request(target="solo"))
        assert result.exit_code == 0
        assert "pending" not in {s.outcome for s in result.steps}
        assert "owner" not in told(b, result)
