"""Logs of real containers: what is in the bag is what the kubelet gave, and its excuses are not taken for logs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.controlplane.running import Obj, Running
from tests.e2e.running import Irkit
from tests.node.app import IMAGE, busybox, eventually, folder

pytestmark = pytest.mark.node

EXCUSE = "unable to retrieve container logs for "
# Colours, a NUL, invalid UTF-8, a line that the runtime stores in parts, no newline at the end.
HOSTILE = r"printf '\033[31mred\033[0m\n\000\377\376 caf\351\n'; head -c 40000 /dev/zero | tr '\0' x; echo; printf 'no newline'"
CRASHES_ONCE = "if mkdir /state/crashed 2>/dev/null; then echo first run; echo it ends badly >&2; exit 3; fi; echo second run; exec sleep 600"


def pod(name: str, spec: Obj, **more: object) -> Obj:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec | more}


def given(plane: Running, namespace: str, pod: str, container: str, *flags: str) -> bytes:
    """What ``kubectl logs`` gives, byte for byte."""
    where = (f"--kubeconfig={plane.admin_kubeconfig}", "-n", namespace)
    command = [str(plane.kubectl_program), *where, "logs", pod, "-c", container, "--timestamps", *flags]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


def status(plane: Running, namespace: str, name: str) -> Obj:
    found: list[Obj] = plane.get("pod", name, "-n", namespace)["status"].get("containerStatuses", [])
    return next((s for s in found if s["name"] == "app"), {"restartCount": 0, "state": {}})


def test_the_bag_has_what_kubectl_logs_gave_of_every_container_and_run(real_node: Running, node_namespace: str, irkit: Irkit) -> None:
    state = {"volumeMounts": [{"name": "state", "mountPath": "/state"}]}
    spec = busybox("app", ["sh", "-c", CRASHES_ONCE], **state)
    spec["containers"].append({"name": "hostile", "image": IMAGE, "command": ["sh", "-c", f"{HOSTILE}; exec sleep 600"]})
    init = {"name": "prepare", "image": IMAGE, "command": ["sh", "-c", "echo prepared"]}
    real_node.apply(pod("crashed", spec, initContainers=[init], volumes=[{"name": "state", "emptyDir": {}}]), namespace=node_namespace)
    assert eventually(
        lambda: (found := status(real_node, node_namespace, "crashed"))["restartCount"] == 1 and "running" in found["state"], seconds=40
    )
    logs = {
        "app/current": given(real_node, node_namespace, "crashed", "app"),
        "app/previous": given(real_node, node_namespace, "crashed", "app", "--previous"),
        "hostile/current": given(real_node, node_namespace, "crashed", "hostile"),
        "prepare/current": given(real_node, node_namespace, "crashed", "prepare"),
    }
    assert b"second run\n" in logs["app/current"]
    assert b"it ends badly\n" in logs["app/previous"]
    assert b"\x1b[31mred" in logs["hostile/current"]
    assert b"\x00\xff\xfe caf\xe9\n" in logs["hostile/current"]

    ran = irkit.json("collect", "crashed", "-n", node_namespace)
    place = folder(ran, real_node.get("pod", "crashed", "-n", node_namespace))
    assert {str(p.relative_to(place).with_suffix("")): p.read_bytes() for p in place.glob("*/*.log")} == logs
    assert not [m for m in ran["evidence"]["missing"] if "logs of" in m["what"]]


def test_what_the_kubelet_says_instead_of_a_log_is_a_gap_not_a_log(real_node: Running, node_namespace: str, irkit: Irkit) -> None:
    """Between two runs of a crash loop the log of the run before the last is gone, and the kubelet says so with status 200."""
    real_node.apply(pod("loop", busybox("app", ["sh", "-c", "echo one more run; exit 1"])), namespace=node_namespace)

    def excused() -> bool:
        ended = "terminated" in (found := status(real_node, node_namespace, "loop"))["state"] and found["restartCount"] > 0
        return ended and given(real_node, node_namespace, "loop", "app", "--previous").startswith(EXCUSE.encode())

    assert eventually(excused, seconds=40)
    current = given(real_node, node_namespace, "loop", "app")
    ran = irkit.json("collect", "loop", "-n", node_namespace)
    assert excused(), "the back-off was over before the collection"

    place = folder(ran, real_node.get("pod", "loop", "-n", node_namespace))
    assert (place / "app" / "current.log").read_bytes() == current
    assert not (place / "app" / "previous.log").exists()
    assert not [p for p in Path(ran["evidence"]["bundle"]).rglob("*.log") if EXCUSE.encode() in p.read_bytes()]
    gap = next(m for m in ran["evidence"]["missing"] if "before its restart" in m["what"])
    assert EXCUSE in gap["why"]
