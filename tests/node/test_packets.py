"""What packets do: under the documented quarantine, under `irkit contain`, and after `irkit lift`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.controlplane.running import Obj
from tests.e2e.running import Irkit
from tests.node.app import DENY_ALL, Todo, container_id, eventually, folder, lives_on, still

pytestmark = pytest.mark.node


@pytest.fixture
def documented(todo: Todo) -> Iterator[Obj]:
    """A backend pod under the documented quarantine: a label, and a policy that denies everything to that label."""
    pod = todo.pods("backend", 3)[0]
    todo.plane.kubectl("label", "pod", pod["metadata"]["name"], "-n", todo.namespace, "quarantine=true")
    todo.plane.apply(DENY_ALL, namespace=todo.namespace)
    yield pod
    todo.plane.kubectl("delete", "networkpolicy", "quarantine", "-n", todo.namespace)
    todo.plane.kubectl("label", "pod", pod["metadata"]["name"], "-n", todo.namespace, "quarantine-")


def log(todo: Todo, pod: Obj) -> str:
    """What kubectl gives of the pod's only container, with the times that irkit asks for."""
    given = todo.plane.kubectl("logs", pod["metadata"]["name"], "-n", todo.namespace, "--timestamps")
    assert "listening on" in given.stdout
    return str(given.stdout)


def bagged(contained: Obj, pod: Obj) -> str:
    return (folder(contained, pod) / str(pod["metadata"]["labels"]["app"]) / "current.log").read_text()


def test_the_app_talks_as_its_policies_say(todo: Todo) -> None:
    """Without this, a refused connection below would prove nothing."""
    frontend, backend, postgres = (todo.pods(app)[0] for app in ("frontend", "backend", "postgres"))
    assert todo.connects(frontend, backend, 8000)
    assert todo.connects(backend, postgres, 5432)
    assert todo.connects(backend, todo.outside, 443)
    assert not todo.connects(frontend, postgres, 5432)
    assert not todo.connects(frontend, todo.outside, 443)


def test_the_documented_quarantine_cuts_nothing_and_verify_says_by_which_rules(todo: Todo, documented: Obj, irkit: Irkit) -> None:
    frontend, postgres = todo.pods("frontend")[0], todo.pods("postgres")[0]
    assert still(lambda: todo.connects(documented, postgres, 5432))
    assert todo.connects(documented, todo.outside, 443)
    assert todo.connects(frontend, documented, 8000)

    isolation = irkit.json("verify", documented["metadata"]["name"], "-n", todo.namespace, code=5)["isolation"]
    assert isolation["verdict"] == "leaks"
    leaks = {(leak["policy"], leak["direction"], leak["rule"], leak["ports"]) for leak in isolation["leaks"]}
    policy = f"{todo.namespace}/backend-network-policy"
    assert leaks == {
        (policy, "ingress", 0, "TCP 8000"),
        (policy, "egress", 0, "TCP 5432"),
        (policy, "egress", 1, "TCP 8001"),
        (policy, "egress", 2, "TCP 443"),
    }


def test_contain_cuts_a_pod_that_the_documented_quarantine_did_not(todo: Todo, documented: Obj, irkit: Irkit) -> None:
    """On top of the documented procedure, as somebody does whom it did not convince; lifted, the pod is as it was then."""
    postgres = todo.pods("postgres")[0]
    name = documented["metadata"]["name"]
    contained = irkit.json("contain", name, "-n", todo.namespace, "--keep-workload", "--yes")
    assert contained["isolation"]["verdict"] == "isolated"
    assert not todo.connects(documented, postgres, 5432)
    assert not todo.connects(documented, todo.outside, 443)
    irkit.json("lift", contained["incident"], "--pod", "return", "--yes")
    assert todo.pod(name)["metadata"]["labels"] == {**documented["metadata"]["labels"], "quarantine": "true"}
    assert eventually(lambda: todo.connects(documented, postgres, 5432))
    todo.pods("backend", 3)


def test_contain_cuts_both_directions_of_the_suspect_alone_and_lift_brings_them_back(todo: Todo, irkit: Irkit) -> None:
    before = todo.pods("backend", 3)
    suspect, sibling, _ = before
    frontend, postgres, mcp = (todo.pods(app)[0] for app in ("frontend", "postgres", "mcp-server"))
    contained = irkit.json("contain", suspect["metadata"]["name"], "-n", todo.namespace, "--keep-workload", "--yes")

    for pod in before:
        assert bagged(contained, pod) == log(todo, pod), f"the log of {pod['metadata']['name']} in the bag is not what kubectl logs gives"
    assert not todo.connects(suspect, postgres, 5432)
    assert not todo.connects(suspect, mcp, 8001)
    assert not todo.connects(suspect, todo.outside, 443)
    assert not todo.connects(frontend, suspect, 8000)
    assert lives_on(todo.plane, suspect)

    assert todo.connects(sibling, postgres, 5432)
    assert todo.connects(sibling, mcp, 8001)
    assert todo.connects(sibling, todo.outside, 443)
    assert todo.connects(frontend, sibling, 8000)
    known = {p["metadata"]["uid"] for p in before}
    (replacement,) = (p for p in todo.pods("backend", 3) if p["metadata"]["uid"] not in known)
    assert eventually(lambda: todo.connects(replacement, postgres, 5432))
    irkit.json("verify", contained["incident"])

    irkit.json("lift", contained["incident"], "--pod", "return", "--yes")
    assert eventually(lambda: todo.connects(suspect, postgres, 5432))
    assert todo.connects(suspect, todo.outside, 443)
    assert eventually(lambda: todo.connects(frontend, suspect, 8000))
    assert lives_on(todo.plane, suspect)
    assert suspect["metadata"]["name"] in {p["metadata"]["name"] for p in todo.pods("backend", 3)}
    assert not todo.plane.get("networkpolicy", "-n", todo.namespace, "-l", "irkit.dev/incident")["items"]


def test_the_suspect_outlives_its_workload(todo: Todo, irkit: Irkit) -> None:
    """A whole containment: the siblings end, the suspect's process runs on, cut off, while the workload is down and when it is back."""
    suspect, *siblings = todo.pods("frontend", 3)
    backend = todo.pods("backend", 3)[0]
    assert todo.connects(suspect, backend, 8000)
    logs = {p["metadata"]["name"]: log(todo, p) for p in (suspect, *siblings)}
    contained = irkit.json("contain", suspect["metadata"]["name"], "-n", todo.namespace, "--yes")

    assert all(check["holds"] for check in contained["checks"]), contained["checks"]
    assert todo.plane.get("deployment", "frontend", "-n", todo.namespace)["spec"]["replicas"] == 0
    assert eventually(lambda: not todo.plane.get("pods", "-n", todo.namespace, "-l", "app=frontend")["items"], 5)
    assert lives_on(todo.plane, suspect)
    assert not todo.connects(suspect, backend, 8000)
    for pod in (suspect, *siblings):
        assert bagged(contained, pod) == logs[pod["metadata"]["name"]]

    irkit.json("lift", contained["incident"], "--yes")
    back = todo.pods("frontend", 3)
    assert eventually(lambda: todo.connects(back[0], backend, 8000))
    assert not todo.connects(suspect, backend, 8000)
    assert lives_on(todo.plane, suspect)

    irkit.json("lift", contained["incident"], "--pod", "delete", "--yes")
    gone = todo.plane.kubectl("get", "pod", suspect["metadata"]["name"], "-n", todo.namespace, check=False)
    assert "NotFound" in gone.stderr
    assert container_id(todo.pods("frontend", 3)[0])
