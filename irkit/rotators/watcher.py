"""One watch over the ExternalSecrets of a namespace for all that wait for one of them, as long as anybody does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from irkit.errors import IrkitError
from irkit.model.kube import Obj, ObjectRef, Resource, at
from irkit.ports import ClusterReader

_STRETCH = 2.0  # seconds of one watch: the longest that it goes on after the last one has gone
_GLANCE = 0.5  # seconds between two looks where one may not watch


class Following:
    """One object, as the watch shows it."""

    def __init__(self, watcher: Watcher, ref: ObjectRef) -> None:
        self._watcher, self._ref, self._bell = watcher, ref, threading.Event()
        self._latest: Obj | None = None

    def told(self, obj: Obj) -> None:
        self._latest = obj
        self._bell.set()

    def next(self, seconds: float) -> Obj | None:
        """The object when it has changed, or after so many seconds; None where it has not been seen yet. Raises as `get`."""
        if self._watcher.blind:
            self._bell.wait(min(seconds, _GLANCE))
            return self._watcher.cluster.get(self._ref)
        self._bell.wait(seconds)
        self._bell.clear()
        return self._latest


class Watcher:
    def __init__(self, cluster: ClusterReader, resource: Resource, namespace: str) -> None:
        self.cluster, self._resource, self._namespace = cluster, resource, namespace
        self.blind = False  # one may not watch, or the watch broke: then everybody looks for himself
        self._lock = threading.Lock()
        self._following: dict[str, list[Following]] = {}
        self._runs = False

    @contextmanager
    def following(self, ref: ObjectRef) -> Iterator[Following]:
        mine = Following(self, ref)
        with self._lock:
            self._following.setdefault(ref.uid, []).append(mine)
            if not self._runs and not self.blind:
                self._runs = True
                threading.Thread(target=self._watch, name="irkit-watch", daemon=True).start()
        try:
            yield mine
        finally:
            with self._lock:
                self._following[ref.uid].remove(mine)
                if not self._following[ref.uid]:
                    del self._following[ref.uid]

    def _watch(self) -> None:
        while self._wanted():
            try:
                for event in self.cluster.watch(self._resource, self._namespace, timeout=_STRETCH):
                    self._tell(event.object)
            except IrkitError:
                self.blind = True

    def _wanted(self) -> bool:
        with self._lock:
            self._runs = bool(self._following) and not self.blind
            return self._runs

    def _tell(self, obj: Obj) -> None:
        with self._lock:
            followers = list(self._following.get(at(obj, ("metadata", "uid"), ""), ()))
        for follower in followers:
            follower.told(obj)
