"""get, list and watch."""

from __future__ import annotations

import base64
import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import msgspec

from irkit.model.kube import Obj
from irkit.sandbox import selectors
from irkit.sandbox.api.call import Answer, Call
from irkit.sandbox.api.tables import table
from irkit.sandbox.catalog import Served
from irkit.sandbox.failures import Failure, bad_request, expired, not_found
from irkit.sandbox.selectors import Predicate
from irkit.sandbox.store import Store, Written

_TOKENS = 200
_TIMEOUT = 300  # seconds of a watch that names none
_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results."
)


class Reads:
    """Answers reads from the store; keeps the rest of each list that was cut, so that its pages are of one moment."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rest: OrderedDict[str, tuple[int, list[Obj]]] = OrderedDict()

    def get(self, served: Served, call: Call) -> Answer:
        found = self._store.get(served, _where(served, call), call.name)
        if found is None:
            raise not_found(served, call.name)
        if _as_table(call):
            return Answer(
                table(served, [found], self._store.now(), {"resourceVersion": found["metadata"]["resourceVersion"]}, include=_include(call))
            )
        return Answer(served.shown(found))

    def page(self, served: Served, call: Call) -> Answer:
        limit = call.number("limit") or 0
        with self._store.changed:
            if token := call.query.get("continue"):
                version, items = self._continued(token)
            else:
                version, items = self._store.version, self.matching(served, call)
                self._reject_future(call)
            meta: Obj = {"resourceVersion": str(version)}
            if limit and len(items) > limit:
                meta["continue"] = self._keep(version, items[limit:])
                if not (call.query.get("labelSelector") or call.query.get("fieldSelector")):
                    meta["remainingItemCount"] = len(items) - limit
                items = items[:limit]
        if _as_table(call):
            return Answer(table(served, items, self._store.now(), meta, include=_include(call)))
        resource = served.resource
        # items of a list carry no kind: the list says it
        bare = [{key: value for key, value in item.items() if key not in ("kind", "apiVersion")} for item in items]
        return Answer({"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": meta, "items": bare})

    def _reject_future(self, call: Call) -> None:
        asked = call.number("resourceVersion")
        if asked and asked > self._store.version:
            cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
            raise Failure(504, "Timeout", f"Timeout: Too large resource version: {asked}, current: {self._store.version}",
                          {"causes": [cause], "retryAfterSeconds": 1})  # fmt: skip

    def matching(self, served: Served, call: Call) -> list[Obj]:
        matches = _predicate(served, call)
        return [obj for obj in self._store.all(served, call.namespace or None) if matches(obj)]

    def _keep(self, version: int, items: list[Obj]) -> str:
        number = f"{version}.{len(self._rest)}.{self._store.names.suffix('continue')}"
        self._rest[number] = (version, items)
        if len(self._rest) > _TOKENS:
            self._rest.popitem(last=False)
        return base64.urlsafe_b64encode(msgspec.json.encode({"v": "irkit", "of": number})).decode()

    def _continued(self, token: str) -> tuple[int, list[Obj]]:
        try:
            number = msgspec.json.decode(base64.urlsafe_b64decode(token))["of"]
        except (ValueError, KeyError, TypeError, msgspec.DecodeError) as error:
            raise bad_request(f"invalid continue token: continue key is not valid: {error}") from None
        kept = self._rest.get(number)
        if kept is None or kept[0] <= self._store.compacted:
            raise expired(_EXPIRED)
        return kept

    def watch(self, served: Served, call: Call) -> Answer:
        since = call.number("resourceVersion")
        call.number("timeoutSeconds")
        matches = _predicate(served, call)
        return Answer(self._events(served, call, since, matches), eager=True)

    def _events(self, served: Served, call: Call, since: int | None, matches: Predicate) -> Iterator[bytes]:
        until = time.monotonic() + (call.number("timeoutSeconds") or _TIMEOUT)
        initial = call.flag("sendInitialEvents")
        with self._store.changed:
            begin = not since or initial
            version = self._store.version if begin or since is None else since
            now = self.matching(served, call) if begin else []
        for obj in now:
            yield self._event(served, call, "ADDED", obj)
        if initial:
            yield self._bookmark(served, version)
        while True:
            with self._store.changed:
                if version < self._store.compacted:
                    old = expired(f"too old resource version: {version} ({self._store.compacted})")
                    yield msgspec.json.encode({"type": "ERROR", "object": old.status()}) + b"\n"
                    return
                written = self._store.since(version)
                if not written:
                    left = until - time.monotonic()
                    if left <= 0:
                        return
                    self._store.changed.wait(left)
                    continue
            for one in written:
                version = one.version
                kind = _told(one, served, call.namespace, matches)
                if kind:
                    yield self._event(served, call, kind, one.object)
            if time.monotonic() >= until:
                return

    def _event(self, served: Served, call: Call, kind: str, obj: Obj) -> bytes:
        shown: Any = served.shown(obj)
        if _as_table(call):
            shown = table(served, [obj], self._store.now(), {"resourceVersion": obj["metadata"]["resourceVersion"]}, include=_include(call))
        return msgspec.json.encode({"type": kind, "object": shown}) + b"\n"

    @staticmethod
    def _bookmark(served: Served, version: int) -> bytes:
        meta = {"resourceVersion": str(version), "annotations": {"k8s.io/initial-events-end": "true"}}
        obj = {"kind": served.resource.kind, "apiVersion": served.resource.api_version, "metadata": meta}
        return msgspec.json.encode({"type": "BOOKMARK", "object": obj}) + b"\n"


def _told(one: Written, served: Served, namespace: str, matches: Predicate) -> str:
    """What a watch with a selector is told of a write: an object that starts or stops to match is ADDED or DELETED."""
    if one.served.id != served.id or (namespace and one.object["metadata"].get("namespace", "") != namespace):
        return ""
    before, after = one.before is not None and matches(one.before), matches(one.object)
    if one.type == "DELETED":
        return "DELETED" if before else ""
    if after:
        return "MODIFIED" if before else "ADDED"
    return "DELETED" if before else ""


def _predicate(served: Served, call: Call) -> Predicate:
    by_label = selectors.labels(call.query.get("labelSelector", ""))
    by_field = selectors.fields(call.query.get("fieldSelector", ""), served.resource.kind)
    return lambda obj: by_label(obj) and by_field(obj)


def _where(served: Served, call: Call) -> str:
    return call.namespace if served.resource.namespaced else ""


def _as_table(call: Call) -> bool:
    return "as=Table" in call.headers.get("Accept", "")


def _include(call: Call) -> str:
    return call.query.get("includeObject", "Metadata")
