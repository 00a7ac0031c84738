"""A run at a terminal that stops at its questions, so that something can happen there."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.running import PROGRAM, Irkit

QUESTION = b"[y/N] "


class Asking:
    """``shown`` is all of the screen so far."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process, self._terminal = process, terminal
        self.shown = b""
        self._questions = 0

    def wait_for_question(self, seconds: float = 20) -> None:
        """Read until the next question stands there."""
        self._questions += 1
        deadline = time.monotonic() + seconds
        while self.shown.count(QUESTION) < self._questions:
            assert self._read(deadline), f"it ended without a question:\n{self.shown.decode()}"

    def answer(self, text: str) -> None:
        os.write(self._terminal, text.encode() + b"\n")

    def end(self, seconds: float = 20) -> int:
        """Read until it ends; its exit code."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            continue
        return self.process.wait(max(deadline - time.monotonic(), 0.1))

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"it hangs:\n{self.shown.decode()}"
        try:
            more = os.read(self._terminal, 65536)
        except OSError:  # EIO: the other end is closed
            return False
        self.shown += more
        return bool(more)


@contextmanager
def asking(irkit: Irkit, *words: str) -> Iterator[Asking]:
    """Start a run at a terminal. It is killed at the end of the block, if it has not ended by then."""
    terminal, other = pty.openpty()
    environ = {**irkit.environ(), "TERM": "xterm", "COLUMNS": "200", "NO_COLOR": "1"}
    process = subprocess.Popen([str(PROGRAM), *words], stdin=other, stdout=other, stderr=other, env=environ, start_new_session=True)
    os.close(other)
    try:
        yield Asking(process, terminal)
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
