"""The documented Todo app in containers that really listen, and a prober: who can open a connection to whom.

The manifests are those of the rehearsal; only images, commands and the namespace are replaced. There is no DNS and no
kube-proxy on the node, so connections go to the addresses of pods.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

import irkit.sandbox.scenarios
from tests.controlplane.running import Obj, Running

IMAGE = "localhost/busybox:1"
MANIFESTS = Path(irkit.sandbox.scenarios.__file__).with_name("todo-app.yaml")

# The documented second step; the first is `kubectl label pod POD quarantine=true`.
DENY_ALL = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: quarantine}
spec: {podSelector: {matchLabels: {quarantine: "true"}}, policyTypes: [Ingress, Egress]}
"""


def listening(port: int) -> list[str]:
    """A command that echoes on ``port``, to many at once, and logs every connection."""
    return ["sh", "-c", f"echo listening on {port}; exec nc -ll -p {port} -e sh -c 'echo accepted a connection >&2; exec cat'"]


def busybox(name: str, command: list[str], **container: object) -> Obj:
    """The spec of a pod with one container."""
    return {"containers": [{"name": name, "image": IMAGE, "command": command, **container}], "terminationGracePeriodSeconds": 1}


def manifests(namespace: str) -> list[Obj]:
    """The app in another namespace, with commands that listen where the app would."""
    found = [o for o in yaml.safe_load_all(MANIFESTS.read_text()) if o["kind"] != "Namespace"]
    for obj in found:
        obj["metadata"]["namespace"] = namespace
        for subject in obj.get("subjects", ()):
            subject["namespace"] = namespace
        if obj["kind"] in ("Deployment", "StatefulSet"):
            spec = obj["spec"]["template"]["spec"]
            spec["terminationGracePeriodSeconds"] = 1
            for container in spec["containers"]:
                container |= {"image": IMAGE, "command": listening(container["ports"][0]["containerPort"])}
    return found


@dataclass(frozen=True)
class Todo:
    """The app, as it runs. ``outside`` is the address of a pod elsewhere that listens on 443, as an attacker's would."""

    plane: Running
    namespace: str
    outside: str

    def pods(self, app: str, count: int | None = None) -> list[Obj]:
        """The running pods of one workload, oldest name first."""
        return sorted(self.plane.pods(self.namespace, f"app={app}", count=count), key=lambda p: str(p["metadata"]["name"]))

    def pod(self, name: str) -> Obj:
        return self.plane.get("pod", name, "-n", self.namespace)

    def connects(self, source: Obj, target: Obj | str, port: int) -> bool:
        """Whether bytes sent by ``source`` to that port come back."""
        return connects(self.plane, source, target, port)


def connects(plane: Running, source: Obj, target: Obj | str, port: int) -> bool:
    address = target if isinstance(target, str) else target["status"]["podIP"]
    meta, script = source["metadata"], f"echo ping | nc -w 1 {address} {port}"
    done = plane.kubectl("exec", meta["name"], "-n", meta["namespace"], "--", "sh", "-c", script, check=False)
    if done.returncode:
        assert "timed out" in done.stderr or "refused" in done.stderr, f"the probe itself failed: {done.stderr}"
        return False
    assert done.stdout == "ping\n", f"something else answered: {done.stdout!r}"
    return True


def eventually(true: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether it becomes true in time."""
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def still(true: Callable[[], bool], times: int = 5) -> bool:
    """Whether it stays true while policies have every chance to take effect (the agent needs some 10 ms, each probe 100)."""
    return all(true() for _ in range(times))


def container_id(pod: Obj) -> str:
    """Of its only container, which must run."""
    (status,) = pod["status"]["containerStatuses"]
    assert "running" in status["state"], status["state"]
    found: str = status["containerID"]
    return found


def lives_on(plane: Running, before: Obj) -> bool:
    """Whether the very container runs that ran then: same id, never restarted, and a command can be run in it."""
    meta = before["metadata"]
    now = plane.get("pod", meta["name"], "-n", meta["namespace"])
    assert now["metadata"]["uid"] == meta["uid"]
    assert "deletionTimestamp" not in now["metadata"]
    init = plane.kubectl("exec", meta["name"], "-n", meta["namespace"], "--", "cat", "/proc/1/stat").stdout.split()
    return container_id(now) == container_id(before) and init[0] == "1"


def folder(result: Obj, pod: Obj) -> Path:
    """Where the bag of a run keeps what is the pod's."""
    return Path(result["evidence"]["bundle"], "data", "pods", pod["metadata"]["namespace"], pod["metadata"]["name"])
