"""Events as controllers write them with client-go's recorder: the same again counts up."""

from __future__ import annotations

from datetime import datetime

from irkit.model.kube import Obj
from irkit.sandbox.catalog import EVENTS, Served
from irkit.sandbox.clock import parse, stamp
from irkit.sandbox.names import digest_of
from irkit.sandbox.store import Store


def note(store: Store, served: Served, about: Obj, kind: str, reason: str, message: str, component: str) -> None:
    """``kind``: Normal or Warning. Events about what is in no namespace are in ``default``."""
    if store.forgotten:
        return
    meta, now = about["metadata"], stamp(store.now())
    namespace = meta.get("namespace") or "default"
    name = _name(about, kind, reason, message)
    if (known := store.get(EVENTS, namespace, name)) is not None:
        store.mutate(EVENTS, known, {"count": known["count"] + 1, "lastTimestamp": now}, manager=component)
        return
    reference = {"kind": served.resource.kind, "namespace": meta.get("namespace", ""), "name": meta["name"], "uid": meta["uid"],
                 "apiVersion": served.resource.api_version, "resourceVersion": meta["resourceVersion"]}  # fmt: skip
    event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": namespace}, "reason": reason, "message": message,
             "type": kind, "count": 1, "firstTimestamp": now, "lastTimestamp": now, "eventTime": None, "source": {"component": component},
             "reportingComponent": component, "reportingInstance": "", "involvedObject": {k: v for k, v in reference.items() if v}}  # fmt: skip
    store.insert(EVENTS, event, manager=component)


def once(store: Store, served: Served, about: Obj, kind: str, reason: str, message: str, component: str, since: datetime | None = None) -> None:
    """As `note`, unless the same was said since ``since``, or ever: for what a controller would say again at each look."""
    known = store.get(EVENTS, about["metadata"].get("namespace") or "default", _name(about, kind, reason, message))
    if known is None or (since is not None and parse(known["lastTimestamp"]) < since):
        note(store, served, about, kind, reason, message, component)


def _name(about: Obj, kind: str, reason: str, message: str) -> str:
    meta = about["metadata"]
    return f"{meta['name']}.{digest_of(' '.join((meta['uid'], kind, reason, message)))[:16]}"
