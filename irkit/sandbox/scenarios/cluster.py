"""The cluster itself: nodes, namespaces, the roles that every cluster has, and the CNI."""

from __future__ import annotations

from datetime import timedelta

from irkit.model.kube import Obj
from irkit.sandbox.clock import stamp
from irkit.sandbox.scenarios import Settle
from irkit.sandbox.store import Store

AGE = timedelta(days=41)
_NODES = ("node-1", "node-2", "node-3")


def build(store: Store, settle: Settle) -> None:
    """A month-old cluster of three nodes with Calico."""
    with store.at(store.now() - AGE):
        for number, name in enumerate(_NODES, 1):
            store.add(_node(name, number, stamp(store.now())), manager="kubelet")
        for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
            store.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, manager="kube-apiserver")
        for obj in (*_roles(), _calico(), _dns(), _dns_service(), _kubernetes()):
            store.add(obj)
        settle()


def _node(name: str, number: int, now: str) -> Obj:
    condition = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status",
                 "lastHeartbeatTime": now, "lastTransitionTime": now}  # fmt: skip
    info = {"kubeletVersion": "v1.35.4", "osImage": "Debian GNU/Linux 12", "kernelVersion": "6.1.0", "architecture": "amd64",
            "operatingSystem": "linux", "containerRuntimeVersion": "containerd://2.1.4", "machineID": "", "systemUUID": "", "bootID": "",
            "kubeProxyVersion": ""}  # fmt: skip
    size = {"cpu": "4", "memory": "16Gi", "pods": "110"}
    addresses = [{"type": "InternalIP", "address": f"10.0.0.{number + 10}"}, {"type": "Hostname", "address": name}]
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/os": "linux", "kubernetes.io/hostname": name}},
            "spec": {"podCIDR": f"10.244.{number}.0/24"},
            "status": {"conditions": [condition], "nodeInfo": info, "capacity": size, "allocatable": size, "addresses": addresses,
                       "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}}}  # fmt: skip


def _roles() -> list[Obj]:
    def role(name: str, *rules: Obj) -> Obj:
        return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": list(rules)}

    def rule(verbs: list[str], groups: list[str], resources: list[str]) -> Obj:
        return {"verbs": verbs, "apiGroups": groups, "resources": resources}

    seeing = ["get", "list", "watch"]
    workloads = ["deployments", "replicasets", "statefulsets", "daemonsets"]
    core = ["pods", "pods/log", "services", "configmaps", "events", "endpoints", "persistentvolumeclaims", "serviceaccounts", "namespaces"]
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "cluster-admin"},
               "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
               "subjects": [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "system:masters"}]}  # fmt: skip
    everything = [rule(["*"], ["*"], ["*"]), {"verbs": ["*"], "nonResourceURLs": ["*"]}]
    view = [rule(seeing, [""], core), rule(seeing, ["apps"], workloads), rule(seeing, ["networking.k8s.io"], ["networkpolicies", "ingresses"])]
    return [role("cluster-admin", *everything), role("view", *view), binding]


def _calico() -> Obj:
    labels = {"k8s-app": "calico-node"}
    container = {"name": "calico-node", "image": "docker.io/calico/node:v3.31.2"}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "calico-node", "namespace": "kube-system", "labels": labels},
            "spec": {"selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels}, "spec": {"hostNetwork": True, "containers": [container]}}}}  # fmt: skip


def _dns() -> Obj:
    labels = {"k8s-app": "kube-dns"}
    container = {
        "name": "coredns",
        "image": "registry.k8s.io/coredns/coredns:v1.13.1",
        "ports": [{"name": "dns", "containerPort": 53, "protocol": "UDP"}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "coredns", "namespace": "kube-system", "labels": labels},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def _dns_service() -> Obj:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
            "spec": {"clusterIP": "10.96.0.10", "selector": {"k8s-app": "kube-dns"},
                     "ports": [{"name": "dns", "port": 53, "targetPort": 53, "protocol": "UDP"}]}}  # fmt: skip


def _kubernetes() -> Obj:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"provider": "kubernetes"}},
            "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443, "targetPort": 6443}]}}  # fmt: skip
