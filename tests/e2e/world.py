"""Small workloads of every kind, and what the tests ask about them."""

from __future__ import annotations

from typing import Any

from tests.controlplane.running import Running

Obj = dict[str, Any]
LABELS = {"app": "web", "tier": "back"}


def template(*containers: str, init: tuple[str, ...] = (), labels: dict[str, str] | None = None, **spec: Any) -> Obj:
    """A pod template; its grace period is short so that nothing waits for the end of a pod."""
    made = [{"name": c, "image": "registry.example/app:1"} for c in containers or ("app",)]
    body: Obj = {"containers": made, "terminationGracePeriodSeconds": 1, **spec}
    if init:
        body["initContainers"] = [{"name": c, "image": "registry.example/init:1"} for c in init]
    return {"metadata": {"labels": dict(labels or LABELS)}, "spec": body}


def _meta(name: str, namespace: str) -> Obj:
    return {"name": name, "namespace": namespace, "labels": {"team": "shop"}}


def scaled(kind: str, name: str, namespace: str, replicas: int = 2, pod: Obj | None = None) -> Obj:
    """A Deployment, ReplicaSet or StatefulSet."""
    pod = pod or template()
    spec: Obj = {"replicas": replicas, "selector": {"matchLabels": {"app": pod["metadata"]["labels"]["app"]}}, "template": pod}
    if kind == "StatefulSet":
        spec |= {"serviceName": name}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": _meta(name, namespace), "spec": spec}


def daemonset(name: str, namespace: str) -> Obj:
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": template()}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": _meta(name, namespace), "spec": spec}


def job(name: str, namespace: str) -> Obj:
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": _meta(name, namespace), "spec": _job_spec()}


def _job_spec() -> Obj:
    return {"parallelism": 2, "completions": 2, "template": template(restartPolicy="Never")}


def cronjob(name: str, namespace: str) -> Obj:
    """One that starts no Job by itself while a test runs (on 30 February)."""
    spec = {"schedule": "0 0 30 2 *", "jobTemplate": {"spec": _job_spec()}}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": _meta(name, namespace), "spec": spec}


def bare(name: str, namespace: str, **spec: Any) -> Obj:
    pod = template(**spec)
    return {"apiVersion": "v1", "kind": "Pod", **pod, "metadata": {**pod["metadata"], "name": name, "namespace": namespace}}


def policy(name: str, namespace: str, selector: Obj, **rules: Any) -> Obj:
    """A NetworkPolicy with these ``ingress`` and ``egress`` rules."""
    spec = {"podSelector": selector, "policyTypes": [k.capitalize() for k in rules], **rules}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def deployed(plane: Running, namespace: str, replicas: int = 2, name: str = "web", pod: Obj | None = None) -> list[Obj]:
    """The running pods of a new Deployment, in the order of their names."""
    plane.apply(scaled("Deployment", name, namespace, replicas, pod))
    app = (pod or template())["metadata"]["labels"]["app"]
    return sorted(plane.pods(namespace, f"app={app}", count=replicas), key=lambda p: p["metadata"]["name"])


def name_of(obj: Obj) -> str:
    name: str = obj["metadata"]["name"]
    return name


def uid_of(obj: Obj) -> str:
    uid: str = obj["metadata"]["uid"]
    return uid


def owner(obj: Obj) -> str:
    """``kind/name`` of the controller, or nothing."""
    found = next((o for o in obj["metadata"].get("ownerReferences", ()) if o.get("controller")), None)
    return f"{found['kind']}/{found['name']}" if found else ""
