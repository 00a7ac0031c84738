"""EndpointSlices: which pods a Service sends to, after pkg/controller/endpointslice (one slice a Service, IPv4)."""

from __future__ import annotations

from typing import Any

from irkit.model.kube import Obj, at, controller_of, is_ready, labels_of
from irkit.sandbox.catalog import ENDPOINTSLICES, SERVICES
from irkit.sandbox.controllers import owners
from irkit.sandbox.store import Store


def reconcile(store: Store) -> None:
    slices = store.all(ENDPOINTSLICES)
    for service in store.all(SERVICES):
        if selector := at(service, ("spec", "selector")):
            _reconcile(store, service, selector, slices)


def _reconcile(store: Store, service: Obj, selector: dict[str, str], slices: list[Obj]) -> None:
    meta = service["metadata"]
    pods = [p for p in owners.pods_in(store, meta["namespace"]) if all(labels_of(p).get(k) == v for k, v in selector.items())]
    pods = [p for p in pods if at(p, ("status", "podIP")) and at(p, ("status", "phase")) not in ("Succeeded", "Failed")]
    body: Obj = {"addressType": "IPv4", "endpoints": [_endpoint(pod) for pod in pods], "ports": _ports(service, pods)}
    known = next((s for s in slices if (controller_of(s) or {}).get("uid") == meta["uid"]), None)
    if known is not None:
        store.replace(ENDPOINTSLICES, {**known, **body})
        return
    name = f"{meta['name']}-{store.names.suffix('slice', meta['namespace'], meta['name'])}"
    labels = {"kubernetes.io/service-name": meta["name"], "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
    store.insert(ENDPOINTSLICES, {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": meta["namespace"], "labels": {**(meta.get("labels") or {}), **labels},
                     "generateName": f"{meta['name']}-", "ownerReferences": [owners.owner_reference(SERVICES, service)]},
        **body})  # fmt: skip


def _endpoint(pod: Obj) -> Obj:
    meta, ending = pod["metadata"], "deletionTimestamp" in pod["metadata"]
    serving = is_ready(pod)
    return {"addresses": [pod["status"]["podIP"]], "conditions": {"ready": serving and not ending, "serving": serving, "terminating": ending},
            "nodeName": pod["spec"]["nodeName"],
            "targetRef": {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}}  # fmt: skip


def _ports(service: Obj, pods: list[Obj]) -> list[Obj]:
    named = {p.get("name"): p["containerPort"] for pod in pods for c in pod["spec"]["containers"] for p in c.get("ports") or ()}
    ports = []
    for port in at(service, ("spec", "ports"), []):
        target: Any = port.get("targetPort", port["port"])
        number = named.get(target) if isinstance(target, str) else target
        if number is not None:
            ports.append({"name": port.get("name", ""), "port": number, "protocol": port.get("protocol", "TCP")})
    return ports
