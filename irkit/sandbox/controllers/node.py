"""The scheduler and the kubelets: pods get a node, run, and end.

There are no containers. A pod runs as soon as it has a node and its images can be pulled, and is gone one round after its deletion, however long its
grace: a rehearsal should not wait for a shutdown that nothing does.
"""

from __future__ import annotations

from collections import Counter

from irkit.model.kube import Obj, at
from irkit.sandbox.catalog import NODES, PODS
from irkit.sandbox.clock import stamp
from irkit.sandbox.controllers import events, owners
from irkit.sandbox.images import resolved
from irkit.sandbox.logs import Logs, fixed, written
from irkit.sandbox.names import digest_of
from irkit.sandbox.store import KUBELET, Store

_SCHEDULER = "kube-scheduler"


def schedule(store: Store) -> None:
    """Give each new pod the fitting node with the fewest pods."""
    pods = store.all(PODS)
    waiting = [pod for pod in pods if not at(pod, ("spec", "nodeName")) and owners.active(pod)]
    if not waiting:
        return
    used = Counter(at(pod, ("spec", "nodeName"), "") for pod in pods)
    for pod in waiting:
        fitting = [node["metadata"]["name"] for node in store.all(NODES) if _fits(pod, node)]
        if not fitting:
            _unschedulable(store, pod)
            continue
        node = min(fitting, key=lambda name: (used[name], name))
        used[node] += 1
        condition = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": stamp(store.now())}
        store.replace(PODS, {**pod, "spec": {**pod["spec"], "nodeName": node}, "status": {**pod["status"], "conditions": [condition]}},
                      manager=_SCHEDULER)  # fmt: skip


def _fits(pod: Obj, node: Obj) -> bool:
    labels = {**(node["metadata"].get("labels") or {}), "kubernetes.io/hostname": node["metadata"]["name"]}
    wanted = at(pod, ("spec", "nodeSelector"), {})
    return not at(node, ("spec", "unschedulable"), False) and all(labels.get(key) == value for key, value in wanted.items())


def _unschedulable(store: Store, pod: Obj) -> None:
    if at(pod, ("status", "conditions")):
        return
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastProbeTime": None,
                 "message": "0 nodes are available", "lastTransitionTime": stamp(store.now())}  # fmt: skip
    store.mutate(PODS, pod, {"status": {"conditions": [condition]}}, manager=_SCHEDULER, subresource="status")


def run(store: Store, logs: Logs) -> None:
    """What all kubelets do: start what is assigned to their nodes, remove what was asked to end."""
    pods = store.all(PODS)
    taken = {at(pod, ("status", "podIP")) for pod in pods}
    for pod in pods:
        meta = pod["metadata"]
        if "deletionTimestamp" in meta:
            if meta.get("deletionGracePeriodSeconds", 0) > 0:
                store.mutate(PODS, pod, {"metadata": {"deletionGracePeriodSeconds": 0}}, manager=KUBELET)
        elif at(pod, ("spec", "nodeName")) and at(pod, ("status", "phase")) == "Pending" and not at(pod, ("status", "startTime")):
            _start(store, logs, pod, taken)


def _start(store: Store, logs: Logs, pod: Obj, taken: set[str]) -> None:
    """``taken``: the addresses that there are already."""
    spec, uid, now = pod["spec"], pod["metadata"]["uid"], stamp(store.now())
    missing = {c["name"] for c in _all(spec) if store.images.state(c["image"]) == "missing"}
    for container in _all(spec):
        if container["name"] not in missing:
            lines = written(store.now(), f"{container['name']} starting, image {container['image']}".encode(), b"ready")
            logs.begin(uid, container["name"], fixed(lines))
    node = store.get(NODES, "", spec["nodeName"]) or {}
    host = next((a["address"] for a in at(node, ("status", "addresses"), []) if a["type"] == "InternalIP"), "127.0.0.1")
    ip = host if spec.get("hostNetwork") else _address(store, uid, taken)
    containers = [_first(store, uid, c, now) for c in spec["containers"]]
    unready = [c["name"] for c in containers if not c["ready"]]
    status = {**pod["status"], "phase": "Pending" if missing else "Running", "hostIP": host, "hostIPs": [{"ip": host}], "podIP": ip,
              "podIPs": [{"ip": ip}], "startTime": now, "conditions": _conditions(pod, now, unready), "containerStatuses": containers}  # fmt: skip
    if spec.get("initContainers"):
        status["initContainerStatuses"] = [_waiting(c) if c["name"] in missing else _completed(uid, c, now) for c in spec["initContainers"]]
    store.replace(PODS, {**pod, "status": status}, manager=KUBELET, subresource="status")
    for container in _all(spec):
        _complain(store, pod, container)


def _all(spec: Obj) -> list[Obj]:
    return [*(spec.get("initContainers") or ()), *spec["containers"]]


def _conditions(pod: Obj, now: str, unready: list[str]) -> list[Obj]:
    kept = [c for c in at(pod, ("status", "conditions"), []) if c["type"] == "PodScheduled"]
    fresh: Obj = {"status": "True", "lastProbeTime": None, "lastTransitionTime": now}
    last = {**fresh, "status": "False", "reason": "ContainersNotReady", "message": f"containers with unready status: [{' '.join(unready)}]"}
    state = last if unready else fresh
    return [*kept, {"type": "Initialized", **fresh}, {"type": "Ready", **state}, {"type": "ContainersReady", **state}]


def _first(store: Store, uid: str, container: Obj, now: str) -> Obj:
    """The first state of a container: it depends on its image."""
    state = store.images.state(container["image"])
    return _waiting(container) if state == "missing" else {**_running(uid, container, now), "ready": state == "ready"}


def _not_found(image: str) -> str:
    return f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": {image}: not found'


def _waiting(container: Obj) -> Obj:
    why = f"rpc error: code = NotFound desc = {_not_found(container['image'])}"
    return {"name": container["name"], "image": container["image"], "imageID": "", "ready": False, "started": False, "restartCount": 0,
            "lastState": {}, "state": {"waiting": {"reason": "ErrImagePull", "message": why}}}  # fmt: skip


def _complain(store: Store, pod: Obj, container: Obj) -> None:
    """The kubelet's Events for an image that gives trouble."""
    match store.images.state(container["image"]):
        case "missing":
            image = container["image"]
            why = f"rpc error: code = NotFound desc = {_not_found(image)}"
            events.note(store, PODS, pod, "Normal", "Pulling", f'Pulling image "{image}"', KUBELET)
            events.note(store, PODS, pod, "Warning", "Failed", f'Failed to pull image "{image}": {why}', KUBELET)
            events.note(store, PODS, pod, "Warning", "Failed", "Error: ErrImagePull", KUBELET)
        case "unready":
            events.note(store, PODS, pod, "Warning", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503", KUBELET)


def _address(store: Store, uid: str, taken: set[str]) -> str:
    n = store.names.number(60000, "ip", uid)
    while (ip := f"10.244.{n // 250 % 250 + 1}.{n % 250 + 2}") in taken:
        n += 1
    taken.add(ip)
    return ip


def container_id(uid: str, container: str, restarts: int) -> str:
    return f"containerd://{digest_of(f'{uid} {container} {restarts}')}"


def _running(uid: str, container: Obj, now: str) -> Obj:
    return {"name": container["name"], "image": container["image"], "imageID": resolved(container["image"]), "ready": True, "started": True,
            "restartCount": 0, "containerID": container_id(uid, container["name"], 0), "lastState": {},
            "state": {"running": {"startedAt": now}}}  # fmt: skip


def _completed(uid: str, container: Obj, now: str) -> Obj:
    identity = container_id(uid, container["name"], 0)
    end = {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now, "containerID": identity}
    return {**_running(uid, container, now), "started": False, "state": {"terminated": end}}


def restart(store: Store, logs: Logs, namespace: str, pod: str, container: str, *, exit_code: int = 137, reason: str = "Error") -> Obj:
    """The container ends and starts again: its log becomes the previous one. Raises KeyError where there is no such."""
    found = store.get(PODS, namespace, pod)
    if found is None:
        raise KeyError(f"{namespace}/{pod}")
    uid, now = found["metadata"]["uid"], stamp(store.now())
    statuses = at(found, ("status", "containerStatuses"), [])
    if container not in [s["name"] for s in statuses]:
        raise KeyError(container)
    statuses = [_restarted(uid, s, now, exit_code, reason) if s["name"] == container else s for s in statuses]
    logs.begin(uid, container, fixed(written(store.now(), f"{container} starting again".encode(), b"ready")))
    return store.mutate(PODS, found, {"status": {"containerStatuses": statuses}}, manager=KUBELET, subresource="status")


def _restarted(uid: str, status: Obj, now: str, exit_code: int, reason: str) -> Obj:
    began, count = at(status, ("state", "running", "startedAt"), now), status["restartCount"] + 1
    last = {"exitCode": exit_code, "reason": reason, "startedAt": began, "finishedAt": now, "containerID": status["containerID"]}
    return {**status, "restartCount": count, "containerID": container_id(uid, status["name"], count),
            "state": {"running": {"startedAt": now}}, "lastState": {"terminated": last}}  # fmt: skip
