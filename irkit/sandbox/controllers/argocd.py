"""Argo CD's application controller, as far as irkit can see it: Applications that heal themselves.

An Application manages what bears its tracking id (argo-cd.readthedocs.io, resource tracking). It puts drift back while
``spec.syncPolicy.automated.selfHeal`` is true and nobody has told it to skip, at most every 5 seconds (``--self-heal-timeout-seconds``).
"""

from __future__ import annotations

import copy
from datetime import timedelta

from irkit.model.kube import Obj, Resource, annotations_of, at
from irkit.sandbox.catalog import Catalog, Served
from irkit.sandbox.clock import parse, stamp
from irkit.sandbox.controllers import events
from irkit.sandbox.controllers.gitops import Manifest, Repository, drifted, put_back, revision
from irkit.sandbox.store import Store

APPLICATIONS = Served(Resource("argoproj.io", "v1alpha1", "applications", "Application"), ("app", "apps"))
TRACKING, SKIP = "argocd.argoproj.io/tracking-id", "argocd.argoproj.io/skip-reconcile"
HOME = "argocd"
"""Argo CD's own namespace: Applications in others are tracked as ``NAMESPACE_NAME``."""
AGAIN = timedelta(seconds=5)
_MANAGER, _COMPONENT = "argocd-controller", "argocd-application-controller"


def serve(catalog: Catalog) -> None:
    """Install it: its kind is served, and the controller acts. Where a test adds the kind alone, nothing acts on it."""
    catalog.add(APPLICATIONS)


class ArgoCd:
    """The controller."""

    def __init__(self) -> None:
        self._repository = Repository()

    def reconcile(self, store: Store) -> None:
        if store.catalog.of(APPLICATIONS.resource.api_version, APPLICATIONS.resource.kind) is not APPLICATIONS:
            return
        for application in store.all(APPLICATIONS):
            paused = annotations_of(application).get(SKIP) == "true"
            if not paused and "deletionTimestamp" not in application["metadata"]:
                self._reconcile(store, application)

    def _reconcile(self, store: Store, application: Obj) -> None:
        names = _names(application)
        known = self._repository.of(store, application, lambda served, obj: _tracked(names, served, obj), (TRACKING,))
        manifests = [_regarded(application, manifest) for manifest in known]
        drift = list(drifted(store, manifests))
        if not manifests:
            return
        if not drift:
            self._report(store, application, manifests, set())
        elif not _heals(application):
            self._report(store, application, manifests, {id(manifest) for manifest, _ in drift})
        elif (moment := at(application, ("status", "operationState", "finishedAt"))) and store.now() < parse(moment) + AGAIN:
            store.wake(parse(moment) + AGAIN)
            self._report(store, application, manifests, {id(manifest) for manifest, _ in drift})
        else:
            for manifest, wanted in drift:
                put_back(store, manifest, wanted, _MANAGER)
            events.note(store, APPLICATIONS, application, "Normal", "OperationStarted", f"Initiated automated sync to '{revision(application)}'",
                        _COMPONENT)  # fmt: skip
            self._report(store, application, manifests, set(), synced=True)

    def _report(self, store: Store, application: Obj, manifests: list[Manifest], off: set[int], *, synced: bool = False) -> None:
        """``off``: which manifests the cluster differs from. ``synced``: just now."""
        status, now = application.get("status") or {}, stamp(store.now())
        overall = "OutOfSync" if off else "Synced"
        resources = [_resource(manifest, "OutOfSync" if id(manifest) in off else "Synced") for manifest in manifests]
        new = {**status, "sync": {**(status.get("sync") or {}), "status": overall, "revision": revision(application)}, "resources": resources,
               "health": {"status": "Healthy"}}  # fmt: skip
        if synced:
            started = {"initiatedBy": {"automated": True}, "sync": {"revision": revision(application)}}
            new["operationState"] = {"phase": "Succeeded", "message": "successfully synced (all tasks run)", "operation": started,
                                     "startedAt": now, "finishedAt": now}  # fmt: skip
        if new != status:
            store.replace(APPLICATIONS, {**application, "status": {**new, "reconciledAt": now}}, manager=_MANAGER)
        before = at(status, ("sync", "status"), "")
        if before != overall:
            told = f"Updated sync status: {before} -> {overall}"
            events.note(store, APPLICATIONS, application, "Normal", "ResourceUpdated", told, _COMPONENT)


def _heals(application: Obj) -> bool:
    automated = at(application, ("spec", "syncPolicy", "automated"), {})
    return automated.get("selfHeal") is True and automated.get("enabled", True) is not False


def _names(application: Obj) -> set[str]:
    """How tracking ids may name the Application."""
    meta = application["metadata"]
    return {f"{meta['namespace']}_{meta['name']}"} | ({meta["name"]} if meta["namespace"] == HOME else set())


def _tracked(names: set[str], served: Served, obj: Obj) -> bool:
    """Whether the object's tracking id is of this Application and its own: a copied annotation counts for nothing."""
    meta, resource = obj["metadata"], served.resource
    name, _, rest = str(annotations_of(obj).get(TRACKING, "")).partition(":")
    return name in names and rest == f"{resource.group}/{resource.kind}:{meta.get('namespace', '')}/{meta['name']}"


def _regarded(application: Obj, manifest: Manifest) -> Manifest:
    """Without what ``ignoreDifferences`` says to leave alone, as JSON pointers."""
    resource = manifest.served.resource
    pointers = [pointer for rule in at(application, ("spec", "ignoreDifferences"), []) for pointer in rule.get("jsonPointers") or ()
                if (rule.get("group", ""), rule.get("kind")) == (resource.group, resource.kind)
                and rule.get("name", manifest.name) == manifest.name]  # fmt: skip
    if not pointers:
        return manifest
    body = copy.deepcopy(manifest.body)
    for pointer in pointers:
        *way, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.removeprefix("/").split("/")]
        inner = at(body, way) if way else body
        if isinstance(inner, dict):
            inner.pop(last, None)
    return Manifest(manifest.served, body)


def _resource(manifest: Manifest, status: str) -> Obj:
    resource = manifest.served.resource
    found = {"group": resource.group, "version": resource.version, "kind": resource.kind, "namespace": manifest.namespace, "name": manifest.name,
             "status": status}  # fmt: skip
    return {key: value for key, value in found.items() if value}
