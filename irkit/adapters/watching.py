"""A watch without gaps: a list, then what changes, resumed where it broke, and listed again where history is gone.

Kubernetes docs, "Kubernetes API Concepts: Efficient detection of changes".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec

from irkit.adapters import answers
from irkit.adapters.client import Client, Query
from irkit.adapters.listing import listed
from irkit.adapters.retry import Transient
from irkit.errors import ApiError, GoneError, UnreachableError
from irkit.model.kube import Obj, Resource
from irkit.ports import WatchEvent

_PAUSE = 0.5  # seconds before a stream that ended at once is opened again
_LONGEST_LINE = 64 << 20  # bytes; an object of etcd has at most 1.5 MiB
_TYPES = ("ADDED", "MODIFIED", "DELETED")


class Watch:
    """One watch, over at most ``timeout`` seconds from now."""

    def __init__(self, client: Client, resource: Resource, namespace: str | None, query: Query, page: int, timeout: float) -> None:
        self._client, self._resource, self._namespace, self._query, self._page = client, resource, namespace, query, page
        self._path = resource.path(namespace)
        self._deadline = client.clock.monotonic() + timeout
        self._known: dict[tuple[str, str], Obj] = {}
        self._version = ""

    @property
    def _left(self) -> float:
        return self._deadline - self._client.clock.monotonic()

    def events(self) -> Iterator[WatchEvent]:
        """Until the time is over. Raises what the list raises, and UnreachableError where the server stays away."""
        while self._left > 0:
            if not self._version:
                yield from self._listed()
            opened = self._client.clock.monotonic()
            try:
                yield from self._streamed()
            except GoneError:
                self._version = ""
            except UnreachableError:
                if self._left > 0:  # else it was only our own deadline
                    raise
            if self._client.clock.monotonic() - opened < _PAUSE and self._left > 0:
                self._client.clock.sleep(min(_PAUSE, max(self._left, 0.0)))

    def _listed(self) -> Iterator[WatchEvent]:
        """What differs from what was told before; at first that is everything."""
        objects, self._version = listed(self._client, self._resource, self._namespace, self._query, self._page)
        before, self._known = self._known, {_key(o): o for o in objects}
        for key, old in before.items():
            found = self._known.get(key)
            if found is None or _uid(found) != _uid(old):
                yield WatchEvent("DELETED", old)
        for key, obj in self._known.items():
            old_obj = before.get(key)
            if old_obj is None or _uid(old_obj) != _uid(obj):
                yield WatchEvent("ADDED", obj)
            elif _version(old_obj) != _version(obj):
                yield WatchEvent("MODIFIED", obj)

    def _streamed(self) -> Iterator[WatchEvent]:
        """One stream, from the last version that was seen until it ends or breaks."""
        query = {
            **self._query, "watch": "1", "allowWatchBookmarks": "true", "resourceVersion": self._version,
            "timeoutSeconds": max(math.ceil(self._left), 1),
        }  # fmt: skip
        with self._client.stream(self._path, query, accept="application/json") as reply:
            rest = b""
            try:
                while self._left > 0:
                    piece = next(reply.pieces(self._left), b"")
                    if not piece:
                        return
                    *lines, rest = (rest + piece).split(b"\n")
                    for line in lines:
                        if (event := self._understood(line)) is not None:
                            yield event
                    if len(rest) > _LONGEST_LINE:
                        raise ApiError("the API server sent a watch event that has no end", status=reply.status)
            except Transient:
                return  # broke, or our time is over; what was seen last is where the next stream begins

    def _understood(self, line: bytes) -> WatchEvent | None:
        event: Any = answers.decoded(line)
        if not isinstance(event, dict) or not isinstance(event.get("object"), dict):
            return None
        kind, obj = event.get("type"), event["object"]
        if kind == "ERROR":
            code = obj.get("code") if isinstance(obj.get("code"), int) else 500
            error = answers.refusal(code, msgspec.json.encode(obj), method="GET", path=self._path, about=self._client.transport.access.about)
            # A server that has lost its history says 410, or 500 while its cache is not filled: both begin anew.
            raise GoneError(error.message, status=code) if code in (410, 500, 504) else error
        self._version = _version(obj) or self._version
        if kind not in _TYPES:
            return None  # a bookmark
        obj.setdefault("apiVersion", self._resource.api_version)
        obj.setdefault("kind", self._resource.kind)
        if kind == "DELETED":
            self._known.pop(_key(obj), None)
        else:
            self._known[_key(obj)] = obj
        return WatchEvent(kind, obj)


def _key(obj: Obj) -> tuple[str, str]:
    meta = obj.get("metadata") or {}
    return meta.get("namespace", ""), meta.get("name", "")


def _uid(obj: Obj) -> str:
    return str((obj.get("metadata") or {}).get("uid", ""))


def _version(obj: Obj) -> str:
    return str((obj.get("metadata") or {}).get("resourceVersion", ""))
