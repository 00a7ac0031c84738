"""What Argo CD and Flux have in common: a manifest for each object they manage, and a live object that is made so again.

There is no Git. What stands in it is what the objects were when their owner was first seen, so that a scenario adds the Application
or Kustomization with them or after them. As where a manifest is applied: what it says is put back, what others added beside it stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from irkit.model.kube import Obj
from irkit.sandbox.catalog import NAMESPACES, Served
from irkit.sandbox.controllers.garbage import terminating
from irkit.sandbox.names import digest_of
from irkit.sandbox.patches.strategic import strategic_merge
from irkit.sandbox.store import Store

_ASIDE = ("metadata", "status")


class Manifest(NamedTuple):
    """One object as it stands in Git."""

    served: Served
    body: Obj

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.body["metadata"].get("namespace", ""))

    def live(self, store: Store) -> Obj | None:
        return store.get(self.served, self.namespace, self.name)


class Repository:
    """The manifests of each owner, by its uid."""

    def __init__(self) -> None:
        self._kept: dict[str, list[Manifest]] = {}

    def of(self, store: Store, owner: Obj, tracks: Callable[[Served, Obj], bool], annotations: tuple[str, ...] = ()) -> list[Manifest]:
        """The owner's manifests; they are written at the first call. ``annotations``: which of an object's are in Git."""
        uid = owner["metadata"]["uid"]
        if uid not in self._kept:
            self._kept[uid] = [_manifest(served, obj, annotations) for served, obj in store.everything() if tracks(served, obj)]
            self._kept[uid].sort(key=lambda m: (m.served.id, m.namespace, m.name))
        return self._kept[uid]


def _manifest(served: Served, obj: Obj, annotations: tuple[str, ...]) -> Manifest:
    meta = obj["metadata"]
    kept = {key: meta[key] for key in ("name", "namespace", "labels") if key in meta}
    if notes := {key: value for key, value in (meta.get("annotations") or {}).items() if key in annotations}:
        kept["annotations"] = notes
    return Manifest(served, {**{key: value for key, value in obj.items() if key not in _ASIDE}, "metadata": kept})


def drifted(store: Store, manifests: list[Manifest]) -> Iterator[tuple[Manifest, Obj | None]]:
    """The manifests that the cluster differs from, each with the live object as it should be; None where there is none."""
    for manifest in manifests:
        live = manifest.live(store)
        if live is None:
            if not manifest.namespace or not _ending(store, manifest.namespace):
                yield manifest, None
        elif "deletionTimestamp" not in live["metadata"] and (wanted := strategic_merge(live, manifest.body)) != live:
            yield manifest, wanted


def _ending(store: Store, namespace: str) -> bool:
    found = store.get(NAMESPACES, "", namespace)
    return found is None or terminating(found)


def put_back(store: Store, manifest: Manifest, wanted: Obj | None, manager: str) -> None:
    if wanted is None:
        store.insert(manifest.served, manifest.body, manager=manager, operation="Apply")
    else:
        store.replace(manifest.served, wanted, manager=manager)


def revision(owner: Obj) -> str:
    """The commit that the manifests are of, by its looks."""
    return digest_of(owner["metadata"]["uid"])[:40]
