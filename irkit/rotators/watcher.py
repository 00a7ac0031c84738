"""One watch over the ExternalSecrets of a namespace for all that wait for one of them.

There is no thread of its own: of those who wait, one at a time reads the watch, and tells the others what is theirs; when it
has what it waited for, another one goes on where it stopped. The last one that leaves closes it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from irkit.errors import IrkitError
from irkit.model.kube import Obj, ObjectRef, Resource, at
from irkit.ports import ClusterReader, WatchEvent

_SHORTEST, _LONGEST = 0.1, 20.0  # seconds of one watch: each begins with a list, and shows that the connection is not dead
_LOOK = 2.0  # seconds that one waits for who reads, before looking again
_GLANCE = 0.5  # seconds between two looks where one may not watch


class Following:
    """One object, as the watch shows it."""

    def __init__(self, watcher: Watcher, ref: ObjectRef) -> None:
        self._watcher, self.ref = watcher, ref
        self.bell = threading.Event()  # there is news, or nobody reads the watch
        self.latest: Obj | None = None

    def next(self, seconds: float, *, glance: bool = False) -> Obj | None:
        """The object when it has changed, at the latest after so many seconds; None where it has not been seen yet. Raises as `get`.

        ``glance``: look for oneself, soon: what is waited for may be that nothing changes.
        """
        if self._watcher.blind or glance:
            self.bell.wait(min(seconds, _GLANCE))
            return self._watcher.cluster.get(self.ref)
        self._watcher.read(self, seconds)
        self.bell.clear()
        return self.latest


class Watcher:
    def __init__(self, cluster: ClusterReader, resource: Resource, namespace: str) -> None:
        self.cluster, self._resource, self._namespace = cluster, resource, namespace
        self.blind = False  # one may not watch, or the watch broke: then everybody looks for himself
        self._reading, self._lock = threading.Lock(), threading.Lock()
        self._following: list[Following] = []
        self._events: Iterator[WatchEvent] | None = None

    @contextmanager
    def following(self, ref: ObjectRef) -> Iterator[Following]:
        mine = Following(self, ref)
        with self._lock:
            self._following.append(mine)
        try:
            yield mine
        finally:
            with self._lock:
                self._following.remove(mine)
                alone = not self._following
            if alone:
                self._close()
            elif not self._reading.locked():  # it may have been told to read on as it was about to leave
                self._hand_over(mine)

    def read(self, mine: Following, seconds: float) -> None:
        """Read until there is news for ``mine``, or wait while another one reads; for so many seconds."""
        if not self._reading.acquire(blocking=False):
            mine.bell.wait(min(seconds, _LOOK))
            return
        try:
            self._events = self._events or self.cluster.watch(self._resource, self._namespace, timeout=max(min(seconds, _LONGEST), _SHORTEST))
            for event in self._events:
                self._tell(event.object)
                if mine.bell.is_set():
                    return
            self._events = None  # its time is over
        except IrkitError:
            self._events, self.blind = None, True
        finally:
            self._reading.release()
            self._hand_over(mine)

    def _tell(self, obj: Obj) -> None:
        uid, version = at(obj, ("metadata", "uid"), ""), at(obj, ("metadata", "resourceVersion"))
        with self._lock:
            for follower in self._following:
                if follower.ref.uid == uid and at(follower.latest, ("metadata", "resourceVersion")) != version:
                    follower.latest = obj
                    follower.bell.set()

    def _hand_over(self, mine: Following) -> None:
        """Wake somebody else, who reads on."""
        with self._lock:
            other = next((f for f in self._following if f is not mine and not f.bell.is_set()), None)
        if other is not None:
            other.bell.set()

    def _close(self) -> None:
        with self._reading:
            events, self._events = self._events, None
            if events is not None and hasattr(events, "close"):
                events.close()
