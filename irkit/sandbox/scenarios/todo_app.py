"""The documented Todo app with an attacker in one of its backend pods.

What the seed changes, beside every name and uid: the number of backend pods, how often the suspect restarted, which
pod it is, whether an autoscaler watches, and whether a policy of the monitoring team keeps a path open that irkit's
deny policy can't close. Seeds that end with 7 have that leak (`tier NotIn (frontend)` also selects a pod without the
label); seeds that end with 3 have a policy for all pods that lets DNS out. Seed 0 has none.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from irkit.model.kube import Obj, at
from irkit.sandbox.catalog import DEPLOYMENTS, PODS
from irkit.sandbox.controllers import node
from irkit.sandbox.images import resolved, split
from irkit.sandbox.logs import Logs
from irkit.sandbox.scenarios import Scenario, Settle, attack, cluster, credentials
from irkit.sandbox.store import Store
from irkit.sandbox.vault import Vault

NAMESPACE = "todo-app"
_MANIFESTS = Path(__file__).with_name("todo-app.yaml")
_AGE = timedelta(days=4, hours=3)


def build(seed: int, store: Store, logs: Logs, vault: Vault, settle: Settle) -> Scenario:
    cluster.build(store, settle)
    leaks = seed % 10 in (3, 7)
    with store.at(store.now() - _AGE):
        app = [credentials.marked(_varied(obj, seed, store)) for obj in _manifests()]
        for obj in app:
            store.add(obj)
        credentials.build(store, vault, app)
        for obj in _extras(seed, store):
            store.add(obj)
        settle()
        pods = [pod for pod in store.all(PODS, NAMESPACE) if at(pod, ("metadata", "labels", "app")) == "backend"]
        suspect = pods[store.names.number(len(pods), "suspect")]
        for pod in store.all(PODS, NAMESPACE):
            _chatter(store, logs, pod)
    _attack(seed, store, logs, suspect)
    settle()
    images = _images(store, suspect["spec"]["containers"][0]["image"])
    where = (NAMESPACE, suspect["metadata"]["name"])
    return Scenario("todo-app", "The Todo app: an attacker in a backend pod", seed, where, leaks, credentials.DATABASES, images)


def _images(store: Store, image: str) -> dict[str, str]:
    """What follows on the attacked image: the patched one, and two that a rollout fails with."""
    repository, tag, _ = split(image)
    head, _, patch = tag.rpartition(".")
    fixed = f"{repository}:{head}.{int(patch) + 1}"
    return {"patched": resolved(fixed), "broken": store.images.spoil(f"{fixed}-broken"), "missing": store.images.remove(f"{fixed}-missing")}


def _manifests() -> list[Any]:
    import yaml

    return list(yaml.load_all(_MANIFESTS.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def written() -> list[Obj]:
    """The app as it is written, for a cluster that has neither a Vault nor a database: what syncs a Secret there, the Secret says itself."""
    added = credentials.manifests()
    marks = {at(o, ("spec", "target", "name")): o["metadata"]["annotations"] for o in added if o["kind"] == "ExternalSecret"}
    app = [credentials.marked(obj) for obj in _manifests()] + [o for o in added if o["kind"] == "Secret"]
    return [{**o, "metadata": {**o["metadata"], "annotations": marks[o["metadata"]["name"]]}}
            if o["kind"] == "Secret" and o["metadata"]["name"] in marks else o for o in app if o["kind"] != "Ingress"]  # fmt: skip


def _varied(obj: Obj, seed: int, store: Store) -> Obj:
    """With a seed, Deployments are of another version, which changes their hash, and the backend is of another size."""
    if obj["kind"] != DEPLOYMENTS.resource.kind or not seed:
        return obj
    spec = {**obj["spec"], "replicas": 2 + store.names.number(4, "replicas")} if obj["metadata"]["name"] == "backend" else obj["spec"]
    inner = spec["template"]["spec"]
    version = f"1.{5 + store.names.number(20, 'minor')}.{store.names.number(10, 'patch')}"
    containers = [{**c, "image": f"{c['image'].rpartition(':')[0]}:{version}"} for c in inner["containers"]]
    return {**obj, "spec": {**spec, "template": {**spec["template"], "spec": {**inner, "containers": containers}}}}


def _extras(seed: int, store: Store) -> list[Obj]:
    found: list[Obj] = []
    if seed == 0 or store.names.number(2, "autoscaler"):
        found.append(
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "backend", "namespace": NAMESPACE},
                "spec": {"minReplicas": 2, "maxReplicas": 6, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "backend"}},
            }
        )
    if seed % 10 == 7:
        found.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "monitoring"}})
        found.append(
            _policy(
                "allow-monitoring", {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["frontend"]}]}, "monitoring", "TCP", 9090
            )
        )
    if seed % 10 == 3:
        found.append(_policy("allow-dns", {}, "kube-system", "UDP", 53))
    return found


def _policy(name: str, selector: Obj, namespace: str, protocol: str, port: int) -> Obj:
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"podSelector": selector, "policyTypes": ["Egress"], "egress": [{"to": [peer], "ports": [{"protocol": protocol, "port": port}]}]},
    }


def _chatter(store: Store, logs: Logs, pod: Obj) -> None:
    started, name = store.now(), pod["metadata"]["name"]
    for container in pod["spec"]["containers"]:
        run = attack.service(started, started + _AGE - timedelta(seconds=2), store.names.number(1000, "log", name))
        logs.rewrite(pod["metadata"]["uid"], container["name"], run)


def _attack(seed: int, store: Store, logs: Logs, suspect: Obj) -> None:
    """Restarts in the last hours, the hostile log of the last minutes, and the events of both."""
    now, uid, container = store.now(), suspect["metadata"]["uid"], suspect["spec"]["containers"][0]["name"]
    restarts = 2 if seed == 0 else store.names.number(4, "restarts")
    salt, began = store.names.number(1000, "salt"), now - timedelta(hours=2)
    for n in range(restarts):
        with store.at(began - timedelta(minutes=20 * (restarts - 1 - n))):
            node.restart(store, logs, NAMESPACE, suspect["metadata"]["name"], container)
    if restarts:
        logs.rewrite(uid, container, attack.crashed(began - timedelta(minutes=20), began, salt), previous=True)
    logs.rewrite(uid, container, attack.under_attack(began if restarts else now - _AGE, now - timedelta(seconds=1), salt))
    for event in attack.events(suspect, now):
        store.add(event, manager="kubelet")
