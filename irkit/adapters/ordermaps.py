"""The queue of orders in the cluster: a ConfigMap each, in namespace ``irkit-system``.

Its name makes an order unique, its resourceVersion an update.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import msgspec

from irkit.errors import ConflictError, NotFoundError, QueueFullError, UsageError
from irkit.model.kube import CONFIGMAPS, Obj, ObjectRef, at
from irkit.model.order import SYSTEM_NAMESPACE, Held, Order, Status, sound
from irkit.ports import Clock, Cluster
from irkit.text import plural, printable

LABEL = "irkit.dev/order"  # "open" or "over"
_ORDER, _STATUS = "order.json", "status.json"
_RARELY = 5.0  # seconds between two lists of the orders that are over


class OrderMaps:
    """Bounded as `most` says; two processes that add at once may be over it by one each."""

    where = f"namespace {SYSTEM_NAMESPACE}"

    def __init__(self, cluster: Cluster, most: int, clock: Clock) -> None:
        """``most``: orders that may be open at once."""
        self._cluster, self._most, self._clock = cluster, most, clock
        self._lock = threading.Lock()
        self._open: frozenset[str] = frozenset()
        self._over: dict[str, Held] = {}
        self._looked = -_RARELY  # when all that are over were listed

    def add(self, order: Order, status: Status) -> Held | None:
        ref = _ref(order.id)
        body: Obj = {
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": ref.name, "namespace": ref.namespace,
                         "labels": {"app.kubernetes.io/managed-by": "irkit", LABEL: "over" if status.over else "open"}},
            "data": {_ORDER: msgspec.json.encode(order).decode(), _STATUS: msgspec.json.encode(status).decode()},
        }  # fmt: skip
        try:
            self._cluster.get(ref)
        except NotFoundError:
            pass
        else:
            return None
        if len(self._cluster.list(CONFIGMAPS, SYSTEM_NAMESPACE, labels=f"{LABEL}=open")) >= self._most:
            raise QueueFullError(f"{plural(self._most, 'order')} are open already; this one was not taken")
        try:
            created = self._cluster.create(CONFIGMAPS, body)
        except ConflictError:
            return None
        return Held(order=order, status=status, version=created["metadata"]["resourceVersion"])

    def get(self, identifier: str) -> Held:
        try:
            found = _held(self._cluster.get(_ref(identifier))) if identifier.isalnum() and identifier.isascii() else None
        except NotFoundError:
            found = None
        if found is None or found.order.id != identifier:
            raise UsageError(f"there is no order {printable(identifier)} in {self.where}", next="irkit order list")
        return found

    def list(self) -> Sequence[Held]:
        """Those that are over, maybe many, are listed every few seconds; one that this process saw open is looked at as soon as it is not."""
        with self._lock:
            found = self._listed("open")
            if self._clock.monotonic() - self._looked >= _RARELY:
                self._over, self._looked = self._listed("over"), self._clock.monotonic()
            else:
                for identifier in self._open - found.keys():
                    try:
                        self._over[identifier] = self.get(identifier)
                    except UsageError:  # it was removed
                        continue
            self._open = frozenset(found)
            found = {**self._over, **found}
        return sorted(found.values(), key=lambda h: (h.order.created, h.order.id))

    def _listed(self, state: str) -> dict[str, Held]:
        objects = self._cluster.list(CONFIGMAPS, SYSTEM_NAMESPACE, labels=f"{LABEL}={state}")
        return {held.order.id: held for obj in objects if (held := _held(obj)) is not None}

    def update(self, held: Held, status: Status) -> Held:
        body: Obj = {
            "metadata": {"resourceVersion": held.version, "labels": {LABEL: "over" if status.over else "open"}},
            "data": {_STATUS: msgspec.json.encode(status).decode()},
        }
        changed = self._cluster.patch(_ref(held.order.id), body)
        return msgspec.structs.replace(held, status=status, version=changed["metadata"]["resourceVersion"])

    def remove(self, held: Held) -> None:
        with self._lock:
            self._over.pop(held.order.id, None)
        try:
            self._cluster.delete(_ref(held.order.id))
        except NotFoundError:
            return


def _ref(identifier: str) -> ObjectRef:
    return ObjectRef(resource=CONFIGMAPS, name=f"irkit-order-{identifier}", namespace=SYSTEM_NAMESPACE)


def _held(obj: Obj) -> Held | None:
    """None for what irkit never writes: whoever may write there may write anything."""
    try:
        order = msgspec.json.decode(str(at(obj, ("data", _ORDER), "")), type=Order)
        status = msgspec.json.decode(str(at(obj, ("data", _STATUS), "")), type=Status)
    except msgspec.DecodeError:
        return None
    held = Held(order=order, status=status, version=obj["metadata"]["resourceVersion"])
    return held if sound(held) and obj["metadata"]["name"] == _ref(order.id).name else None
