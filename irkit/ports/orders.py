"""The queue of orders, and whoever begins with them (app/orders)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from irkit.model.order import Held, Order, Status


class Orders(Protocol):
    """The queue of orders: one for all processes that see it. Every method may raise UnreachableError, ForbiddenError."""

    @property
    def where(self) -> str:
        """For people: this machine, or the cluster."""

    def add(self, order: Order, status: Status) -> Held | None:
        """None where the queue has that order already, whatever became of it: of two who add it one does.

        Raises QueueFullError.
        """

    def get(self, identifier: str) -> Held:
        """Raises UsageError where there is no such order."""

    def list(self) -> Sequence[Held]:
        """All, oldest first. What can't be read is left out."""

    def update(self, held: Held, status: Status) -> Held:
        """Raises ConflictError where somebody else updated it meanwhile."""

    def remove(self, held: Held) -> None: ...


class Runner(Protocol):
    """Starts the processes that carry orders out."""

    def start(self, held: Held) -> None:
        """Begin process number ``held.status.begun``; where that was begun before, nothing. Raises UnreachableError, ForbiddenError, ApiError."""

    def alive(self, held: Held) -> bool | None:
        """Whether process number ``held.status.begun``, or the one that has the order now, goes on; None: that can't be told."""

    def close(self) -> None:
        """End what can't outlive this process."""
