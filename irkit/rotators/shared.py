"""What the rotators of one batch share: each question about the surroundings is asked once. Never a value."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class Shared:
    """Answers by key, each made by the first who asks, while the others wait for it. A failure is everybody's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[str, Future[Any]] = {}
        self._asked: Counter[str] = Counter()

    def once(self, key: str, make: Callable[[], Any]) -> Any:
        with self._lock:
            future, mine = self._answers.get(key), key not in self._answers
            if future is None:
                future = self._answers[key] = Future()
        if mine:
            try:
                future.set_result(make())
            except BaseException as error:  # noqa: BLE001 -- the askers get it, whatever it is
                future.set_exception(error)
        return future.result()

    def asked(self, key: str) -> int:
        """How often this was called with ``key``, with this time."""
        with self._lock:
            self._asked[key] += 1
            return self._asked[key]

    def __repr__(self) -> str:
        return f"Shared({', '.join(sorted(self._answers))})"
