"""Token buckets by name: how often each may come. A bounded number of them, the least recently used forgotten first."""

from __future__ import annotations

import math
from collections import OrderedDict

from irkit.ports import Clock


class Buckets:
    """Each holds ``burst`` tokens at first, and gets ``rate`` a second."""

    def __init__(self, rate: float, burst: int, clock: Clock, most: int = 10_000) -> None:
        self._rate, self._burst, self._clock, self._most = rate, burst, clock, most
        self._found: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when they were counted

    def take(self, name: str) -> int:
        """Takes a token; 0, or the whole seconds after which there is one."""
        now = self._clock.monotonic()
        tokens, then = self._found.get(name, (float(self._burst), now))
        tokens = min(float(self._burst), tokens + (now - then) * self._rate)
        left = tokens - 1 if tokens >= 1 else tokens
        self._found[name] = (left, now)
        self._found.move_to_end(name)
        if len(self._found) > self._most:
            self._found.popitem(last=False)
        return 0 if tokens >= 1 else max(1, math.ceil((1 - tokens) / self._rate))
