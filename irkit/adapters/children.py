"""Carrying out orders on this machine: a child process each, which is this irkit with the order's id and nothing else."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence

from irkit.errors import UnreachableError
from irkit.model.order import Held


class Children:
    """Ended with this process by `close`; one that is killed leaves its order for the next attempt."""

    def __init__(self, options: Sequence[str]) -> None:
        """``options``: of ``irkit order work``, as for the kubeconfig's context."""
        self._options = tuple(options)
        self._running: dict[tuple[str, int], subprocess.Popen[bytes]] = {}

    def start(self, held: Held) -> None:
        self._running = {k: p for k, p in self._running.items() if p.poll() is None}
        key = (held.order.id, held.status.begun)
        if key in self._running:
            return
        argv = [sys.executable, "-m", "irkit", "order", "work", held.order.id, *self._options]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SLACK_")}  # who works needs no chat's token
        try:
            self._running[key] = subprocess.Popen(
                argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:
            raise UnreachableError(f"no process for order {held.order.id}: {error.strerror}") from None

    def alive(self, held: Held) -> bool | None:
        host, _, number = held.status.worker.partition("/")
        process = self._running.get((held.order.id, held.status.begun))
        if process is not None and number in ("", str(process.pid)):
            return process.poll() is None
        if host != socket.gethostname() or not number.isdecimal():
            return None
        try:
            os.kill(int(number), 0)
        except ProcessLookupError:
            return False
        except (OSError, OverflowError):
            return None
        return None  # another process may have its number by now

    def close(self) -> None:
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(10.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
