"""DaemonSets: one pod on each fitting node, after pkg/controller/daemon."""

from __future__ import annotations

from irkit.model.kube import Obj, at, is_ready
from irkit.sandbox.catalog import DAEMONSETS, NODES, PODS
from irkit.sandbox.controllers import owners, revisions, rolling
from irkit.sandbox.defaults import complete
from irkit.sandbox.store import Store

_HASH = "controller-revision-hash"


def reconcile(store: Store) -> None:
    for daemon in store.all(DAEMONSETS):
        if "deletionTimestamp" not in daemon["metadata"]:
            _reconcile(store, daemon)


def _reconcile(store: Store, daemon: Obj) -> None:
    namespace, template = daemon["metadata"]["namespace"], daemon["spec"]["template"]
    revision = revisions.remember(store, DAEMONSETS, daemon)
    hashed = revision.removeprefix(f"{daemon['metadata']['name']}-")
    mine = owners.claim(store, DAEMONSETS, daemon, PODS, [p for p in owners.pods_in(store, namespace) if at(p, ("spec", "nodeName"))])
    wanted = [node["metadata"]["name"] for node in store.all(NODES) if _fits(template["spec"], node)]
    on = {name: [pod for pod in mine if pod["spec"]["nodeName"] == name] for name in wanted}
    for pod in mine:
        if pod["spec"]["nodeName"] not in on and owners.active(pod):
            owners.delete_pod(store, pod)
    for name, pods in on.items():
        if not pods:
            pods.append(_create(store, daemon, name, hashed))
        for extra in pods[1:]:
            if owners.active(extra):
                owners.delete_pod(store, extra)
    current = [pods[0] for pods in on.values()]
    _update(store, daemon, current, hashed)
    _report(store, daemon, current, len(mine) - sum(len(pods) for pods in on.values()), hashed)
    revisions.forget(store, daemon, {revision, *(f"{daemon['metadata']['name']}-{at(pod, ('metadata', 'labels', _HASH), '')}" for pod in mine)})


def _fits(spec: Obj, node: Obj) -> bool:
    labels = {**(node["metadata"].get("labels") or {}), "kubernetes.io/hostname": node["metadata"]["name"]}
    return all(labels.get(key) == value for key, value in (spec.get("nodeSelector") or {}).items())


def _create(store: Store, daemon: Obj, node: str, hashed: str) -> Obj:
    meta, template = daemon["metadata"], daemon["spec"]["template"]
    name = f"{meta['name']}-{store.names.suffix('pod', meta['namespace'], meta['name'])}"
    pod = owners.new_pod(DAEMONSETS, daemon, template, name, {_HASH: hashed, "pod-template-generation": str(meta.get("generation", 1))})
    pod["metadata"]["generateName"] = f"{meta['name']}-"
    pod["spec"] = {**pod["spec"], "nodeName": node}
    return store.insert(PODS, complete(pod))


def _update(store: Store, daemon: Obj, pods: list[Obj], hashed: str) -> None:
    """Old pods that are not ready go first, then as many others as ``maxUnavailable`` allows (rollingUpdate of update.go)."""
    if at(daemon, ("spec", "updateStrategy", "type")) == "OnDelete":
        return
    most = at(daemon, ("spec", "updateStrategy", "rollingUpdate", "maxUnavailable"), 1)
    room = rolling.scaled(most, len(pods), up=True) - sum(not (owners.active(p) and is_ready(p)) for p in pods)
    for pod in pods:
        if at(pod, ("metadata", "labels", _HASH)) == hashed or not owners.active(pod):
            continue
        if not is_ready(pod):
            owners.delete_pod(store, pod)
        elif room > 0:
            owners.delete_pod(store, pod)
            room -= 1


def _report(store: Store, daemon: Obj, pods: list[Obj], misplaced: int, hashed: str) -> None:
    ready = sum(is_ready(pod) for pod in pods)
    updated = sum(at(pod, ("metadata", "labels", _HASH)) == hashed for pod in pods)
    status = {"observedGeneration": daemon["metadata"].get("generation", 1), "desiredNumberScheduled": len(pods), "currentNumberScheduled": len(pods),
              "numberReady": ready, "numberMisscheduled": misplaced}  # fmt: skip
    counts = {"numberAvailable": ready, "updatedNumberScheduled": updated}
    owners.set_status(store, DAEMONSETS, daemon, {**status, **{key: count for key, count in counts.items() if count}})
