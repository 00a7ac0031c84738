"""Connections that were open before the cut: some network plugins cut them, some don't, and irkit claims only what it knows."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
from collections.abc import Iterator

import pytest

from tests.controlplane.running import Obj, Running
from tests.e2e.running import Irkit
from tests.node.app import busybox, connects, listening

pytestmark = pytest.mark.node


class Connection:
    """A TCP connection from a pod to an echoing port, held open by nc."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.stdin, self.stdout = process.stdin.fileno(), process.stdout.fileno()

    def flows(self, word: bytes, seconds: float) -> bool:
        """Whether ``word`` comes back in time."""
        os.write(self.stdin, word + b"\n")
        readable, _, _ = select.select([self.stdout], [], [], seconds)
        return bool(readable) and os.read(self.stdout, 4096) == word + b"\n"


@contextlib.contextmanager
def opened(plane: Running, source: Obj, target: Obj, port: int) -> Iterator[Connection]:
    meta = source["metadata"]
    command = [str(plane.kubectl_program), f"--kubeconfig={plane.admin_kubeconfig}", "exec", "-i", meta["name"], "-n", meta["namespace"]]
    command += ["--", "nc", target["status"]["podIP"], str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            connection = Connection(process)
            assert connection.flows(b"first", 20)
            yield connection
        finally:
            process.kill()


def two_pods(plane: Running, namespace: str) -> tuple[Obj, Obj]:
    """A server and a suspect that may talk to it."""
    for name in ("server", "suspect"):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": busybox(name, listening(8000))}
        plane.apply(pod, namespace=namespace)
    server, suspect = sorted(plane.pods(namespace, count=2), key=lambda p: str(p["metadata"]["name"]))
    assert connects(plane, suspect, server, 8000)
    return server, suspect


def network(irkit: Irkit, code: int = 0) -> Obj:
    """What `irkit doctor` says of the network plugin."""
    found: Obj = next(f for f in irkit.json("doctor", code=code)["findings"] if f["name"] == "network")
    return found


def flows_after_the_cut(plane: Running, namespace: str, irkit: Irkit) -> bool:
    """Contain a pod that has a connection open. A new one must fail in any case, and irkit must not claim to know of the old one."""
    server, suspect = two_pods(plane, namespace)
    with opened(plane, suspect, server, 8000) as connection:
        ran = irkit.run("contain", "suspect", "-n", namespace, "--yes", "-o", "json").ended(0)
        isolation = ran.document["isolation"]
        assert (isolation["verdict"], isolation["enforcement"], isolation["connections"]) == ("isolated", "unknown", "unknown")
        assert "verdict: isolated by policy in both directions; not known whether policies are enforced; open connections: not known" in ran.stderr
        assert not connects(plane, suspect, server, 8000)
        return connection.flows(b"second", 2)


def test_an_open_connection_flows_on_where_the_plugin_keeps_it(real_node: Running, node_namespace: str, irkit: Irkit) -> None:
    assert flows_after_the_cut(real_node, node_namespace, irkit)


@pytest.mark.parametrize("real_node", ["cut"], indirect=True)
def test_an_open_connection_ends_where_the_plugin_cuts_it(real_node: Running, node_namespace: str, irkit: Irkit) -> None:
    assert not flows_after_the_cut(real_node, node_namespace, irkit)


@pytest.mark.parametrize("real_node", ["none"], indirect=True)
def test_nothing_is_claimed_of_a_plugin_that_ignores_policies(real_node: Running, node_namespace: str, irkit: Irkit) -> None:
    """The verdict judges policies only. Whether anybody enforces them is said beside it: first unknown, then known not to be."""
    server, suspect = two_pods(real_node, node_namespace)
    said = irkit.run("contain", "suspect", "-n", node_namespace, "--yes").ended(0).said
    assert connects(real_node, suspect, server, 8000)
    assert "suspect is alive and cut off by policy (not known whether policies are enforced)" in said
    assert (network(irkit)["level"], network(irkit)["text"]) == (
        "note",
        "the network plugin was not recognised: not known whether it enforces NetworkPolicies; open connections: unknown",
    )

    labels = {"app": "flannel"}
    template = {"metadata": {"labels": labels}, "spec": busybox("kube-flannel", ["sleep", "600"])}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    flannel = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "kube-flannel-ds", "namespace": "kube-flannel"}, "spec": spec}
    real_node.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-flannel"}}, flannel)
    verified = irkit.json("verify", "suspect", "-n", node_namespace, code=5)["isolation"]
    assert (verified["verdict"], verified["enforcement"], verified["cni"], verified["connections"]) == ("isolated", "none", "flannel", "open")
    assert "suspect is not cut off" in irkit.run("verify", "suspect", "-n", node_namespace).ended(5).said
    assert network(irkit, code=5)["level"] == "bad"
