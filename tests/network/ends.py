"""Pods, endpoints and policies, in short."""

from __future__ import annotations

from typing import Any

from irkit.model.kube import Obj
from irkit.network.reach import Endpoint

OUTSIDE = Endpoint(address="203.0.113.7")


def pod(name: str = "a", ip: str = "10.244.1.2", namespace: str = "default", labels: dict[str, str] | None = None, **spec: Any) -> Obj:
    meta = {"name": name, "namespace": namespace, "uid": f"uid-{namespace}-{name}", "labels": labels or {}}
    status = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "hostIP": "10.0.0.11", "hostIPs": [{"ip": "10.0.0.11"}]}
    return {"metadata": meta, "spec": {"nodeName": "node-1", "containers": [], **spec}, "status": status}


def end(found: Obj, **namespace_labels: str) -> Endpoint:
    return Endpoint(pod=found, namespace={"metadata": {"name": found["metadata"]["namespace"], "labels": namespace_labels}})


def policy(name: str = "p", namespace: str = "default", **spec: Any) -> Obj:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"podSelector": {}, **spec}}


def lets_in(*rules: Any, **spec: Any) -> Obj:
    return policy(policyTypes=["Ingress"], ingress=list(rules), **spec)


def lets_out(*rules: Any, **spec: Any) -> Obj:
    return policy(policyTypes=["Egress"], egress=list(rules), **spec)


DENY = policy("deny", policyTypes=["Ingress", "Egress"])
A, B = pod("a", "10.244.1.2", labels={"app": "a"}), pod("b", "10.244.2.2", labels={"app": "b"}, nodeName="node-2")
B["status"] |= {"hostIP": "10.0.0.12", "hostIPs": [{"ip": "10.0.0.12"}]}
FAR = pod("far", "10.244.3.2", "other", labels={"app": "a"}, nodeName="node-3")
