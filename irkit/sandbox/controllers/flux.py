"""Flux's kustomize-controller, as far as irkit can see it: Kustomizations that apply what stands in Git every ``interval``.

A Kustomization manages what bears its labels and is in its inventory. ``spec.suspend`` stops it; a change of its spec, or the annotation
that `flux reconcile` sets, makes it look at once (fluxcd.io/flux/components/kustomize).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from irkit.model.kube import Obj, Resource, annotations_of, at, labels_of
from irkit.sandbox.catalog import Catalog, Served
from irkit.sandbox.clock import seconds, stamp
from irkit.sandbox.controllers import events, owners
from irkit.sandbox.controllers.gitops import Manifest, Repository, drifted, put_back, revision
from irkit.sandbox.store import Store

_GROUP = "kustomize.toolkit.fluxcd.io"
KUSTOMIZATIONS = Served(Resource(_GROUP, "v1", "kustomizations", "Kustomization"), ("ks",), ("status",))
REQUESTED = "reconcile.fluxcd.io/requestedAt"
_DISABLED = f"{_GROUP}/reconcile"
_MANAGER = "kustomize-controller"
_INTERVAL, _SHORTEST = 600.0, 1.0  # seconds: without one; and at least, so that time can go on


def serve(catalog: Catalog) -> None:
    """Install it: its kind is served, and the controller acts. Where a test adds the kind alone, nothing acts on it."""
    catalog.add(KUSTOMIZATIONS)


class Flux:
    """The controller."""

    def __init__(self) -> None:
        self._repository = Repository()
        self._applied: dict[str, datetime] = {}

    def reconcile(self, store: Store) -> None:
        if store.catalog.of(KUSTOMIZATIONS.resource.api_version, KUSTOMIZATIONS.resource.kind) is not KUSTOMIZATIONS:
            return
        for kustomization in store.all(KUSTOMIZATIONS):
            if not at(kustomization, ("spec", "suspend"), False) and "deletionTimestamp" not in kustomization["metadata"]:
                self._reconcile(store, kustomization)

    def _reconcile(self, store: Store, kustomization: Obj) -> None:
        meta = kustomization["metadata"]
        mine = {f"{_GROUP}/name": meta["name"], f"{_GROUP}/namespace": meta["namespace"]}
        manifests = self._repository.of(store, kustomization, lambda _, obj: mine.items() <= labels_of(obj).items())
        interval = seconds(str(at(kustomization, ("spec", "interval"), "")))
        every = timedelta(seconds=max(interval, _SHORTEST) if interval > 0 else _INTERVAL)
        last = self._applied.get(meta["uid"])
        if not manifests or (last is not None and store.now() < last + every and not _asked(kustomization)):
            if manifests and last is not None:
                store.wake(last + every)
            return
        self._applied[meta["uid"]] = store.now()
        changed = [manifest for manifest, wanted in drifted(store, manifests) if _apply(store, manifest, wanted)]
        if changed:
            told = "\n".join(f"{m.served.resource.kind}/{m.namespace}/{m.name} configured" for m in changed)
            events.note(store, KUSTOMIZATIONS, kustomization, "Normal", "Progressing", told, _MANAGER)
        owners.set_status(store, KUSTOMIZATIONS, kustomization, _status(store, kustomization, manifests))
        store.wake(store.now() + every)


def _asked(kustomization: Obj) -> bool:
    """Whether to look before the interval is over."""
    status, meta = kustomization.get("status") or {}, kustomization["metadata"]
    asked = annotations_of(kustomization).get(REQUESTED, "")
    return bool(status.get("observedGeneration") != meta.get("generation", 1) or asked != status.get("lastHandledReconcileAt", ""))


def _apply(store: Store, manifest: Manifest, wanted: Obj | None) -> bool:
    live = manifest.live(store)
    if live is not None and str(annotations_of(live).get(_DISABLED, "")).lower() == "disabled":
        return False
    put_back(store, manifest, wanted, _MANAGER)
    return True


def _status(store: Store, kustomization: Obj, manifests: list[Manifest]) -> Obj:
    told, generation = f"main@sha1:{revision(kustomization)}", kustomization["metadata"].get("generation", 1)
    entries = [
        {"id": f"{m.namespace}_{m.name}_{m.served.resource.group}_{m.served.resource.kind}", "v": m.served.resource.version} for m in manifests
    ]
    ready = {"type": "Ready", "status": "True", "reason": "ReconciliationSucceeded", "message": f"Applied revision: {told}",
             "lastTransitionTime": stamp(store.now()),
             "observedGeneration": generation}  # fmt: skip
    asked = annotations_of(kustomization).get(REQUESTED)
    return {"observedGeneration": generation, "conditions": [ready], "inventory": {"entries": entries},
            "lastAppliedRevision": told, "lastAttemptedRevision": told, **({"lastHandledReconcileAt": asked} if asked else {})}  # fmt: skip
