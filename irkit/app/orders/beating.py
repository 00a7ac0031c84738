"""Signs of life of whoever works on an order; who can't give them any more stops, before another process takes over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import msgspec

from irkit.app.orders.queue import BEAT, STALE, amend
from irkit.engine.journal import stamp
from irkit.model.order import Held, Status
from irkit.ports import Ports
from irkit.ports.orders import Orders

Say: TypeAlias = Callable[[str], None]
FENCE = STALE * 0.75  # seconds without an accepted sign of life
_LOOK = 0.5  # seconds between two looks at what was said


@contextmanager
def beating(ports: Ports, orders: Orders, held: Held, stop: Callable[[], None]) -> Iterator[Say]:
    """While the block runs. What is said in it goes out with the next sign of life, at most ``_LOOK`` seconds later."""
    over, notes = threading.Event(), [held.status.note]

    def beat(current: Held) -> Status | None:
        if current.status.worker != held.status.worker or current.status.over:
            return None
        return msgspec.structs.replace(current.status, beat=stamp(ports.clock), note=notes[-1])

    def beats() -> None:
        said, accepted, tried = notes[-1], ports.clock.monotonic(), ports.clock.monotonic()
        while not over.wait(_LOOK):
            now = ports.clock.monotonic()
            if notes[-1] == said and now - tried < BEAT:
                continue
            said, tried = notes[-1], now
            try:
                mine = amend(orders, held.order.id, beat).status.worker == held.status.worker
                accepted = now
            except Exception:  # noqa: BLE001 -- the next one tries again; who gave no sign of life any more would not be alone with the order
                mine = now - accepted < FENCE
            if not mine and not over.is_set():
                stop()
                return

    thread = threading.Thread(target=beats, name="irkit-beat", daemon=True)
    thread.start()
    try:
        yield notes.append
    finally:
        over.set()
        thread.join(5.0)
