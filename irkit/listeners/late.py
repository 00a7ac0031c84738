"""The queue, before it is known where it is: a listener that starts while the cluster is out answers, and says so."""

from __future__ import annotations

from collections.abc import Sequence

from irkit.errors import UnreachableError
from irkit.model.order import Held, Order, Status
from irkit.ports.orders import Orders


class LateOrders:
    """`ports.Orders` that raises UnreachableError until `found` was called."""

    def __init__(self) -> None:
        self._orders: Orders | None = None

    def found(self, orders: Orders) -> None:
        self._orders = orders

    @property
    def where(self) -> str:
        return self._there().where

    def add(self, order: Order, status: Status) -> Held | None:
        return self._there().add(order, status)

    def get(self, identifier: str) -> Held:
        return self._there().get(identifier)

    def list(self) -> Sequence[Held]:
        return self._there().list()

    def update(self, held: Held, status: Status) -> Held:
        return self._there().update(held, status)

    def remove(self, held: Held) -> None:
        self._there().remove(held)

    def _there(self) -> Orders:
        if self._orders is None:
            raise UnreachableError("the queue of orders can't be reached yet")
        return self._orders
