"""What every listener does beside listening: one of them leads, and sees to the orders in the queue, turn by turn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

from irkit.app.orders import dispatch
from irkit.errors import IrkitError
from irkit.listeners.log import Log
from irkit.model.order import Held
from irkit.ports import Clock, Orders, Runner
from irkit.settings import Settings

PERIOD = 0.25  # seconds between two turns
PATIENCE = 5.0  # seconds after a turn that failed
Teller: TypeAlias = Callable[[Sequence[Held]], None]  # tells a chat what is new; it may raise IrkitError


class Loop:
    """``leads``: whether this process is the one that sees to the orders now. ``wake`` makes the next turn come at once."""

    def __init__(
        self, orders: Orders, runner: Runner, settings: Settings, clock: Clock, log: Log, leads: Callable[[], bool], tell: Sequence[Teller] = ()
    ) -> None:
        self._orders, self._runner, self._settings, self._clock, self._log = orders, runner, settings, clock, log
        self._leads, self._tell = leads, tell
        self._wake = threading.Event()

    def wake(self) -> None:
        """There is something new in the queue."""
        self._wake.set()

    def run(self, over: threading.Event) -> None:
        """Until ``over`` is set. No error of the cluster, the queue or a chat ends it."""
        while not over.is_set():
            self._wake.clear()
            period = PERIOD
            try:
                if self._leads():
                    self.turn()
            except IrkitError as error:
                self._log("turn-failed", level="error", why=error.message, code=error.exit_code)
                period = PATIENCE
            self._wake.wait(period)

    def turn(self) -> None:
        held = dispatch.turn(self._orders, self._runner, self._settings, self._clock)
        for tell in self._tell:
            try:
                tell(held)
            except IrkitError as error:  # a chat that is out stops nothing
                self._log("not-told", level="warning", why=error.message)
