"""ControllerRevisions: the templates that a StatefulSet or DaemonSet had (pkg/controller/history)."""

from __future__ import annotations

from irkit.model.kube import Obj, at, controller_of
from irkit.sandbox.catalog import REVISIONS, Served
from irkit.sandbox.controllers import owners
from irkit.sandbox.names import template_hash
from irkit.sandbox.store import Store


def remember(store: Store, served: Served, owner: Obj) -> str:
    """Keep the template of now under the highest number, one that comes back too; returns the revision's name."""
    meta, template = owner["metadata"], owner["spec"]["template"]
    name = f"{meta['name']}-{template_hash(template)}"
    mine = [r for r in store.all(REVISIONS, meta["namespace"]) if (controller_of(r) or {}).get("uid") == meta["uid"]]
    known = next((r for r in mine if r["metadata"]["name"] == name), None)
    last = max((r["revision"] for r in mine), default=0)
    if known is None:
        store.insert(REVISIONS, {
            "apiVersion": "apps/v1", "kind": "ControllerRevision",
            "metadata": {"name": name, "namespace": meta["namespace"], "labels": at(template, ("metadata", "labels"), {}),
                         "ownerReferences": [owners.owner_reference(served, owner)]},
            "data": {"spec": {"template": {**template, "$patch": "replace"}}}, "revision": last + 1})  # fmt: skip
    elif known["revision"] < last:
        store.mutate(REVISIONS, known, {"revision": last + 1})
    return name


def forget(store: Store, owner: Obj, used: set[str]) -> None:
    """Remove those beyond ``revisionHistoryLimit``, oldest first; not what pods still run."""
    meta = owner["metadata"]
    mine = [r for r in store.all(REVISIONS, meta["namespace"]) if (controller_of(r) or {}).get("uid") == meta["uid"]]
    idle = sorted((r for r in mine if r["metadata"]["name"] not in used), key=lambda r: r["revision"])
    for revision in idle[: max(0, len(idle) - at(owner, ("spec", "revisionHistoryLimit"), 10))]:
        store.remove(REVISIONS, revision)
