"""What a listener says of itself: one JSON object a line, on stderr. Each door's every answer is one of them: the audit line."""

from __future__ import annotations

import json
import sys
import threading
from contextlib import suppress
from typing import TextIO

from irkit.engine.journal import stamp
from irkit.ports import Clock
from irkit.text import printable

_LONGEST = 400  # characters of one text


class Log:
    """``{"time", "level", "event", …}``. Texts are escaped to ASCII and cut, so that a stranger's words stay one line."""

    def __init__(self, clock: Clock, stream: TextIO | None = None) -> None:
        self._clock, self._stream, self._lock = clock, stream, threading.Lock()

    def __call__(self, event: str, *, level: str = "info", **facts: object) -> None:
        known = {k: v if isinstance(v, int | float | bool) or v is None else printable(v, _LONGEST) for k, v in facts.items()}
        line = json.dumps({"time": stamp(self._clock), "level": level, "event": event, **known})
        with self._lock, suppress(OSError, ValueError):  # a disk that is full, a reader that went away: the listener goes on
            print(line, file=self._stream or sys.stderr, flush=True)
