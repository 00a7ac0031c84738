"""What every listener does beside listening: one of them leads, and sees to the orders in the queue, turn by turn."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from irkit.app.orders import dispatch
from irkit.errors import IrkitError
from irkit.listeners.log import Log
from irkit.model.order import Held
from irkit.ports import Clock
from irkit.ports.orders import Orders, Runner
from irkit.settings import Settings

PERIOD = 0.25  # seconds between two turns
PATIENCE = 5.0  # seconds after a turn that failed
Teller: TypeAlias = Callable[[Sequence[Held]], None]  # tells a chat what is new; it may raise IrkitError


class Counts(NamedTuple):
    """For whoever watches the listener. ``orders``: by state, as the last turn of this process saw them; empty where another one leads."""

    leads: bool = False
    turns: int = 0  # since this process began, as the others
    failed: int = 0
    untold: int = 0  # times that a chat could not be told
    orders: Mapping[str, int] = {}


class Loop:
    """``leads``: whether this process is the one that sees to the orders now. ``wake`` makes the next turn come at once."""

    def __init__(
        self, orders: Orders, runner: Runner, settings: Settings, clock: Clock, log: Log, leads: Callable[[], bool], tell: Sequence[Teller] = ()
    ) -> None:
        self._orders, self._runner, self._settings, self._clock, self._log = orders, runner, settings, clock, log
        self._leads, self._tellers = leads, tell
        self._wake, self._news = threading.Event(), threading.Event()
        self._latest: Sequence[Held] = ()
        self._pulse = dispatch.Pulse(clock)
        self._counts, self._untold = Counts(), 0
        self._stuck: dict[str, str] = {}  # by order: why nothing can be done with it

    @property
    def counts(self) -> Counts:
        return self._counts._replace(untold=self._untold)

    def wake(self) -> None:
        """There is something new in the queue."""
        self._wake.set()

    def run(self, over: threading.Event) -> None:
        """Until ``over`` is set. No error of the cluster, the queue or a chat ends it; a chat that is slow holds no order up."""
        telling = threading.Thread(target=self._telling, args=(over,), name="irkit-telling", daemon=True)
        telling.start()
        while not over.is_set():
            self._wake.clear()
            period = PERIOD
            try:
                if self._leads():
                    self._latest = self.turn()
                    self._news.set()
                else:
                    self._counts = self._counts._replace(leads=False, orders={})
            except IrkitError as error:
                self._log("turn-failed", level="error", why=error.message, code=error.exit_code)
                period = self._failed()
            except Exception as error:  # noqa: BLE001 -- a loop that ends carries nobody's order out
                self._log("turn-failed", level="error", why=f"inside irkit: {type(error).__name__}", code=1)
                period = self._failed()
            self._wake.wait(period)
        telling.join(PATIENCE)

    def _failed(self) -> float:
        self._counts = self._counts._replace(failed=self._counts.failed + 1)
        return PATIENCE

    def turn(self) -> Sequence[Held]:
        """See to the orders once; all of them as they are after it."""
        known, self._stuck = self._stuck, {}
        held = dispatch.turn(self._orders, self._runner, self._settings, self._clock, self._pulse, lambda h, e: self._left(h, e, known))
        states = Counter[str](h.status.state for h in held)
        self._counts = self._counts._replace(leads=True, turns=self._counts.turns + 1, orders=dict(states))
        return held

    def _left(self, held: Held, error: IrkitError, known: Mapping[str, str]) -> None:
        """One order that nothing could be done with: said once."""
        if known.get(held.order.id) != error.message:
            self._log("order-left", level="error", order=held.order.id, why=error.message, code=error.exit_code)
        self._stuck[held.order.id] = error.message

    def tell(self, held: Sequence[Held]) -> None:
        """Tell every chat what is new."""
        for tell in self._tellers:
            try:
                tell(held)
            except Exception as error:  # noqa: BLE001 -- a chat that is out stops nothing, whatever is wrong with it
                self._log("not-told", level="warning", why=error.message if isinstance(error, IrkitError) else type(error).__name__)
                self._untold += 1

    def _telling(self, over: threading.Event) -> None:
        while not over.is_set():
            if self._news.wait(PERIOD):
                self._news.clear()
                self.tell(self._latest)
