"""One look at the cluster: every read is made once, the expected ones at the same time, and all are kept as evidence."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from typing import Any

from irkit.errors import IrkitError
from irkit.model.kube import SECRETS, Obj, ObjectRef, Permission, Resource
from irkit.ports import ClusterReader, WatchEvent


class Snapshot:
    """A ClusterReader that answers each question once. A new look is a new Snapshot."""

    def __init__(self, cluster: ClusterReader, pool: ThreadPoolExecutor) -> None:
        self._cluster = cluster
        self._pool = pool
        self._lock = threading.Lock()
        self._answers: dict[tuple[Any, ...], Future[Any]] = {}

    def _once(self, key: tuple[Any, ...], ask: Callable[[], Any]) -> Any:
        with self._lock:
            future = self._answers.get(key)
            mine = future is None
            if future is None:
                future = self._answers[key] = Future()
        if mine:
            _settle(future, ask)
        return future.result()

    def _listed(self, ref: ObjectRef) -> Obj | None:
        """The object out of a list that was read already."""
        with self._lock:
            future = self._answers.get(("list", ref.resource, ref.namespace or None, "", ""))
        if future is None or (future.done() and future.exception()):
            return None
        return next((o for o in future.result() if o["metadata"]["name"] == ref.name), None)

    def get(self, ref: ObjectRef, *, subresource: str = "") -> Obj:
        if not subresource and (found := self._listed(ref)) is not None:
            return found
        key = ("get", ref.resource, ref.namespace, ref.name, subresource)
        answer: Obj = self._once(key, lambda: self._cluster.get(ref, subresource=subresource))
        return answer

    def list(self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = "") -> Sequence[Obj]:
        key = ("list", resource, namespace, labels, fields)
        answer: Sequence[Obj] = self._once(key, lambda: self._cluster.list(resource, namespace, labels=labels, fields=fields))
        return answer

    def can(self, permission: Permission) -> bool:
        answer: bool = self._once(("can", permission), lambda: self._cluster.can(permission))
        return answer

    def watch(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = "", timeout: float = 60.0
    ) -> Iterator[WatchEvent]:
        return self._cluster.watch(resource, namespace, labels=labels, fields=fields, timeout=timeout)

    def logs(self, pod: ObjectRef, container: str, *, previous: bool = False) -> AbstractContextManager[Iterator[bytes]]:
        return self._cluster.logs(pod, container, previous=previous)

    def proxy(self, ref: ObjectRef, path: str) -> bytes:
        return self._cluster.proxy(ref, path)

    def warm(self, asks: Sequence[Callable[[ClusterReader], object]]) -> None:
        """Begin these reads at the same time. A failure is told to whoever needs the answer, not here."""
        for ask in asks:
            self._pool.submit(_quiet, ask, self)

    def adopt(self, other: Snapshot, resource: Resource) -> None:
        """Take over what another look has read of one resource, or is reading."""
        with other._lock:
            known = {k: v for k, v in other._answers.items() if k[0] == "list" and k[1] == resource}
        with self._lock:
            self._answers.update(known)

    def seen(self) -> dict[str, Any]:
        """What was read and came back, by URL path: saved as evidence before anything changes."""
        kept: dict[str, Any] = {}
        with self._lock:
            answers = list(self._answers.items())
        for key, future in answers:
            if key[0] == "can" or key[1] == SECRETS or not future.done() or future.exception() is not None:
                continue
            if key[0] == "get":
                kept[key[1].path(key[2], key[3], key[4])] = future.result()
            else:
                query = "&".join(f"{n}={v}" for n, v in (("labelSelector", key[3]), ("fieldSelector", key[4])) if v)
                kept[key[1].path(key[2]) + (f"?{query}" if query else "")] = list(future.result())
        return kept


def _settle(future: Future[Any], ask: Callable[[], Any]) -> None:
    try:
        answer = ask()
    except BaseException as error:  # noqa: BLE001 -- the asker gets it, whatever it is
        future.set_exception(error)
    else:
        future.set_result(answer)


def _quiet(ask: Callable[[ClusterReader], object], reader: ClusterReader) -> None:
    with suppress(IrkitError):
        ask(reader)
