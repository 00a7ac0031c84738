"""The real node runs containers and enforces policies by packets."""

from __future__ import annotations

import pytest

from tests.controlplane.running import Obj, Running

pytestmark = pytest.mark.node


def busybox(name: str, command: str) -> Obj:
    container = {"name": "app", "image": "localhost/busybox:1", "command": ["sh", "-c", command]}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


DENY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "deny"},
    "spec": {"podSelector": {"matchLabels": {"app": "server"}}, "policyTypes": ["Ingress"]},
}


def test_containers_logs_exec_and_policies_by_packets(real_node: Running, node_namespace: str) -> None:
    ns = ("-n", node_namespace)
    real_node.apply(busybox("server", "echo up; while :; do nc -l -p 8000 -e cat; done"), busybox("client", "sleep 600"), namespace=node_namespace)
    server = next(p for p in real_node.pods(node_namespace, count=2) if p["metadata"]["name"] == "server")
    assert real_node.kubectl("logs", "server", *ns).stdout == "up\n"
    connect = ("exec", "client", *ns, "--", "sh", "-c", f"echo hello | nc -w 1 {server['status']['podIP']} 8000")
    assert real_node.kubectl(*connect).stdout == "hello\n"
    real_node.apply(DENY, namespace=node_namespace)
    assert "hello" not in real_node.kubectl(*connect, check=False).stdout
