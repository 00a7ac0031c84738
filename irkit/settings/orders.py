"""Orders: what chats and alerts may ask irkit to do, and how many of them at once."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

Seconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=2592000)]


class OrderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="kebab"):
    queue: Literal["auto", "cluster", "machine"] = "auto"
    """Where orders wait: namespace ``irkit-system`` of the cluster, or ``$IRKIT_HOME/orders``; ``auto``: the cluster where it has that namespace."""
    most_open: Annotated[int, msgspec.Meta(ge=1, le=10000)] = 200
    """Orders that may wait or run; more are refused until some are over."""
    most_running: Annotated[int, msgspec.Meta(ge=1, le=100)] = 8
    """Orders that are carried out at once."""
    lifetime: Seconds = 3600.0
    """Seconds until an order that nobody approved expires."""
    attempts: Annotated[int, msgspec.Meta(ge=1, le=100)] = 5
    """Processes that may begin with one order, where each was killed, until it counts as failed."""
    kept: Seconds = 604800.0
    """Seconds that an order stays in the queue after it is over: so long the same event makes no second one."""
