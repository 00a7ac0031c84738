"""An executable of the user's that rotates what irkit does not know: JSON on its stdin, JSON on its stdout, no shell."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from contextlib import suppress

from irkit.errors import ApiError, UnreachableError, UsageError
from irkit.settings.rotation import CommandSettings
from irkit.text import printable, size

LIMIT = 1 << 20  # bytes of stdout
CHUNK = 64 * 1024
ENVIRONMENT = ("PATH", "HOME", "LANG")


def call(name: str, settings: CommandSettings, request: bytes, timeout: float) -> bytes:
    """Run it to its end, with ``request`` on its stdin; its stdout. It and all that it started end with the call.

    What it writes to stderr is not shown: it may hold a value. Raises UsageError where there is nothing to run, UnreachableError
    after ``timeout`` seconds or the settings' own limit, ApiError where it fails or says more than a mebibyte.
    """
    who = f"command {printable(name)}"
    limit = min(timeout, settings.timeout)
    deadline = time.monotonic() + limit
    if not settings.argv:
        raise UsageError(f"commands.{printable(name)} in the settings has no argv")
    environment = {v: os.environ[v] for v in (*ENVIRONMENT, *settings.environment) if v in os.environ}
    try:
        process = subprocess.Popen(
            settings.argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "its name is none"
        raise UsageError(f"{who}: {printable(settings.argv[0])} can't be run: {why}") from None
    try:
        said = _exchange(process, request, deadline)
        code = process.wait(max(deadline - time.monotonic(), 0.0))
    except (TimeoutError, subprocess.TimeoutExpired):
        raise UnreachableError(f"{who} did not end in {limit:g} s, and was ended") from None
    finally:
        _end(process)
    if len(said) > LIMIT:
        raise ApiError(f"{who} said more than {size(LIMIT)}, and was ended", status=0)
    if code:
        how = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
        raise ApiError(f"{who} {how}; run it by hand to see what it says", status=0)
    return said


def _exchange(process: subprocess.Popen[bytes], request: bytes, deadline: float) -> bytes:
    """Write and read at the same time; stops at one byte more than the limit. Raises TimeoutError."""
    assert process.stdin
    assert process.stdout
    said = bytearray()
    with selectors.DefaultSelector() as ready:
        for pipe, event in ((process.stdin, selectors.EVENT_WRITE), (process.stdout, selectors.EVENT_READ)):
            os.set_blocking(pipe.fileno(), False)
            ready.register(pipe, event)
        while len(said) <= LIMIT:
            if (left := deadline - time.monotonic()) <= 0:
                raise TimeoutError
            for key, _ in ready.select(left):
                if key.fileobj is process.stdout:
                    if not (piece := os.read(key.fd, CHUNK)):
                        return bytes(said)
                    said += piece
                elif not (request := _fed(key.fd, request)):
                    ready.unregister(process.stdin)
                    process.stdin.close()
    _end(process)
    return bytes(said)


def _fed(descriptor: int, request: bytes) -> bytes:
    """What is left to write; nothing where nobody reads it."""
    try:
        return request[os.write(descriptor, request[:CHUNK]) :]
    except BlockingIOError:
        return request
    except OSError:
        return b""


def _end(process: subprocess.Popen[bytes]) -> None:
    """Its whole process group, and our ends of its pipes."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with suppress(OSError):
                pipe.close()
    process.wait()
