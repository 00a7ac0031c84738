"""Commands of irkit that only read, each run by a process of its own, so that a listener waits for none and is harmed by none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence

from irkit.errors import RefusedError, UnreachableError

READS = ("blast-radius", "verify", "rehearse")
_MOST = 2  # at once
_LARGEST = 8_000_000  # bytes of a document


class Asking:
    """``ask`` runs ``irkit WORDS -o json`` and returns what it printed. Its environment has no token of a chat."""

    def __init__(self, options: Sequence[str]) -> None:
        """``options``: as for the kubeconfig's context; a rehearsal takes none."""
        self._options = tuple(options)
        self._room = threading.BoundedSemaphore(_MOST)
        self._running: set[subprocess.Popen[bytes]] = set()
        self._over = False

    def ask(self, words: Sequence[str], timeout: float) -> bytes:
        """Raises UnreachableError where it takes longer than ``timeout`` seconds, RefusedError where too many run."""
        assert words[0] in READS, "nothing else is run for a question"
        if not self._room.acquire(blocking=False):
            raise RefusedError("irkit answers two such questions at once, and no more; nothing was done", next="the same again in a minute")
        try:
            with tempfile.TemporaryDirectory(prefix="irkit-") as folder:
                rehearsal = words[0] == "rehearse"  # it leaves an incident behind, which is none
                extra = {"IRKIT_HOME": folder} if rehearsal else {}
                return self._run([*words, *(() if rehearsal else self._options), "-o", "json"], extra, timeout)
        finally:
            self._room.release()

    def close(self) -> None:
        self._over = True
        for process in list(self._running):
            _end(process)

    def _run(self, words: list[str], extra: dict[str, str], timeout: float) -> bytes:
        argv, word = [sys.executable, "-m", "irkit", *words], words[0]
        environment = {**{k: v for k, v in os.environ.items() if not k.startswith("SLACK_")}, **extra}
        with tempfile.TemporaryFile() as out:
            try:
                process = subprocess.Popen(
                    argv, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL, start_new_session=True
                )
            except OSError as error:
                raise UnreachableError(f"no process for irkit {word}: {error.strerror}") from None
            self._running.add(process)
            try:
                process.wait(0.0 if self._over else timeout)
            except subprocess.TimeoutExpired:
                raise UnreachableError(f"irkit {word} took longer than {timeout:.0f} s", next=f"irkit {word}, at a terminal") from None
            finally:
                _end(process)
                self._running.discard(process)
            out.seek(0)
            return out.read(_LARGEST)


def _end(process: subprocess.Popen[bytes]) -> None:
    """It and what it started."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        process.wait()
