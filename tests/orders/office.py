"""A queue, a runner that only notes, and turns of whoever leads: no process is begun."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from irkit.adapters.orderfiles import OrderFiles
from irkit.app.orders.dispatch import Pulse, turn
from irkit.app.orders.queue import submit
from irkit.engine.journal import stamp
from irkit.errors import ForbiddenError
from irkit.model.order import Held, Origin, State, Status
from irkit.settings import Settings
from irkit.settings.orders import OrderSettings
from tests.clocks import StepClock
from tests.orders.desk import ANN
from tests.orders.words import order


class Starts:
    """A runner that only notes; ``says``: whether a process goes on, by what its order and number are."""

    def __init__(self, says: Callable[[Held], bool | None] = lambda held: True) -> None:
        self.begun: list[str] = []
        self.says = says
        self.why = ""

    def start(self, held: Held) -> None:
        self.begun.append(f"{held.order.target} {held.status.begun}")
        if self.why:
            raise ForbiddenError(self.why)

    def alive(self, held: Held) -> bool | None:
        return self.says(held)

    def close(self) -> None: ...


class Office:
    """A queue, a clock that stands still, and a runner."""

    def __init__(self, directory: Path, says: Callable[[Held], bool | None] = lambda held: True, **settings: Any) -> None:
        self.clock, self.runner = StepClock(), Starts(says)
        self.pulse = Pulse(self.clock)
        self.queue = OrderFiles(directory, 100)
        self.settings = Settings(orders=OrderSettings(**settings))

    def submit(self, name: str = "web", needs: str = "one", by: Origin = ANN) -> str:
        return submit(self.queue, order(name, needs, by, target=name), self.clock)[0].order.id  # type: ignore[arg-type]

    def turn(self, after: float = 0.0) -> Sequence[Held]:
        self.clock.sleep(after)
        return turn(self.queue, self.runner, self.settings, self.clock, self.pulse)

    def put(self, identifier: str, **changes: Any) -> Held:
        held = self.queue.get(identifier)
        return self.queue.update(held, msgspec.structs.replace(held.status, **{"changed": stamp(self.clock), **changes}))

    def claim(self, identifier: str, state: State = "planning") -> None:
        self.put(identifier, state=state, worker="somewhere/1", beat=stamp(self.clock))

    def status(self, identifier: str) -> Status:
        return self.queue.get(identifier).status
