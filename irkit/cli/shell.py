"""A shell of its own for a runbook's blocks: one after the other, as somebody pastes them into one terminal."""

from __future__ import annotations

import os
import secrets
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

LIMIT = 300.0
"""Seconds for one block: `kubectl rollout status --timeout=300s` is the longest that ours wait."""
_LEFT = ("LANG", "LC_ALL", "LC_CTYPE", "TERM", "TZ")


class Ran(msgspec.Struct, frozen=True):
    """``code``: of the last command; None: the shell ended, or the block did not, in time. What was printed, as text."""

    code: int | None
    output: str
    complaints: str


def environment(given: Mapping[str, str], home: Path) -> dict[str, str]:
    """What a runbook's shell knows: how to find the cluster, and programs. Nothing else of this machine: no other cluster, no key."""
    kept = {name: os.environ[name] for name in _LEFT if name in os.environ}
    return {"PATH": os.environ.get("PATH", os.defpath), **kept, **given, "HOME": str(home)}


class Shell:
    """From entering to leaving the ``with`` block; then it is ended, with all that it started.

    ``heard`` gets each line as it comes, as it came. Raises OSError where ``program`` can't be started.
    """

    def __init__(self, program: str, environ: Mapping[str, str], home: Path, heard: Callable[[str], None] = lambda line: None) -> None:
        self._program, self._environ, self._home, self._heard = program, dict(environ), home, heard
        self._mark, self._count = secrets.token_hex(16), 0

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([self._program], stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, env=self._environ, cwd=self._home,
                                         start_new_session=True)  # fmt: skip
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()

    def run(self, script: str, limit: float = LIMIT) -> Ran:
        """One block; its functions and variables are there for the next one."""
        self._count += 1
        path = self._home / f".block-{self._count}.sh"
        path.touch(0o600)
        path.write_text(script)
        assert self._process.stdin is not None
        end = f"{self._mark}-{self._count}"
        # from a file: a command that reads its input must not eat the blocks that follow
        line = f". {path} < /dev/null; printf '\\n%s %d\\n' {end} $?; printf '\\n%s\\n' {end} >&2\n"
        try:
            self._process.stdin.write(line.encode())
        except BrokenPipeError:
            return Ran(None, "", "the shell has ended")
        return self._listen(end.encode(), time.monotonic() + limit)

    def _listen(self, end: bytes, until: float) -> Ran:
        """Read both streams to the mark at the end of each."""
        pipes: list[IO[bytes]] = [p for p in (self._process.stdout, self._process.stderr) if p is not None]
        got, told = {p: bytearray() for p in pipes}, dict.fromkeys(pipes, 0)
        waiting = set(pipes)
        with selectors.DefaultSelector() as selector:
            for pipe in pipes:
                selector.register(pipe, selectors.EVENT_READ)
            while waiting and (left := until - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    pipe = key.fileobj  # type: ignore[assignment]  # what was registered
                    chunk = os.read(pipe.fileno(), 65536)
                    got[pipe] += chunk
                    told[pipe] = self._tell(got[pipe], told[pipe], end)
                    if not chunk or b"\n" in got[pipe].partition(b"\n" + end)[2]:
                        selector.unregister(pipe)
                        waiting.discard(pipe)
        return self._result(bytes(got[pipes[0]]), bytes(got[pipes[1]]), end)

    def _tell(self, data: bytearray, begin: int, end: bytes) -> int:
        """Pass on the whole lines since ``begin``; returns where the next one begins."""
        while (stop := data.find(b"\n", begin)) >= 0:
            line, after = bytes(data[begin:stop]), bytes(data[stop + 1 : stop + 1 + len(end)])
            if line == b"" and after != end and end.startswith(after):
                break  # perhaps the line break before the mark
            if end not in line and (line or after != end):
                self._heard(line.decode("utf-8", "replace"))
            begin = stop + 1
        return begin

    def _result(self, out: bytes, err: bytes, end: bytes) -> Ran:
        said, found, code = out.partition(b"\n" + end)
        complaints = err.partition(b"\n" + end)[0].decode("utf-8", "replace")
        try:
            number = int(code.split(b"\n")[0]) if found else None
        except ValueError:
            number = None
        return Ran(number, said.decode("utf-8", "replace"), complaints)
