"""Garbage collection (pkg/controller/garbagecollector, in the background) and the life of namespaces."""

from __future__ import annotations

from irkit.model.kube import Obj, at
from irkit.sandbox.catalog import CONFIGMAPS, NAMESPACES, PODS, SERVICEACCOUNTS, Served
from irkit.sandbox.controllers import owners
from irkit.sandbox.store import Store


def collect(store: Store) -> None:
    """Delete what none of its owners survives; drop references to owners that are gone."""
    everything = store.everything()
    alive = {obj["metadata"]["uid"] for _, obj in everything}
    for served, obj in everything:
        references = obj["metadata"].get("ownerReferences")
        if not references or "deletionTimestamp" in obj["metadata"]:
            continue
        left = [o for o in references if o["uid"] in alive]
        if not left:
            _delete(store, served, obj)
        elif len(left) < len(references):
            store.mutate(served, obj, {"metadata": {"ownerReferences": left}})


def _delete(store: Store, served: Served, obj: Obj) -> None:
    if served is PODS:
        owners.delete_pod(store, obj)
    else:
        owners.terminate(store, served, obj)


def namespaces(store: Store) -> None:
    """A new namespace gets its ServiceAccount and root certificate; one that ends takes its contents along."""
    for namespace in store.all(NAMESPACES):
        name = namespace["metadata"]["name"]
        if "deletionTimestamp" not in namespace["metadata"]:
            _furnish(store, name)
            continue
        inside = [(served, obj) for served, obj in store.everything() if obj["metadata"].get("namespace") == name]
        for served, obj in inside:
            if "deletionTimestamp" not in obj["metadata"]:
                _delete(store, served, obj)
        if not any(obj["metadata"].get("namespace") == name for _, obj in store.everything()):
            store.remove(NAMESPACES, namespace)


def _furnish(store: Store, namespace: str) -> None:
    if store.get(SERVICEACCOUNTS, namespace, "default") is None:
        store.insert(SERVICEACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}})
    if store.get(CONFIGMAPS, namespace, "kube-root-ca.crt") is None:
        store.insert(
            CONFIGMAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt", "namespace": namespace}, "data": {}}
        )


def terminating(namespace: Obj | None) -> bool:
    return namespace is not None and (at(namespace, ("status", "phase")) == "Terminating" or "deletionTimestamp" in namespace["metadata"])
