"""Start a program for a test and end it again, whatever happens to the test run."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path


@contextlib.contextmanager
def started(
    command: Sequence[object], log: Path, ready: Callable[[], bool], *, user: int | None = None, environ: Mapping[str, str] = {}, seconds: float = 30
) -> Iterator[subprocess.Popen[bytes]]:
    """The program runs, and was ``ready``, for the time of a block; as ``user`` and its group where one is given.

    It gets SIGINT at the end (of PostgreSQL the fast shutdown), SIGKILL 10 seconds later, and SIGQUIT when this process is killed (Linux).
    Raises AssertionError, with the end of its log, when it is not ready in time.
    """
    bound = [setpriv, "--pdeathsig=QUIT"] if (setpriv := shutil.which("setpriv")) else []
    as_user = {} if user is None else {"user": user, "group": user, "extra_groups": ()}
    with log.open("wb") as out:
        process = subprocess.Popen(  # type: ignore[call-overload]
            [*bound, *map(str, command)], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            cwd=log.parent, env={**os.environ, **environ}, **as_user,
        )  # fmt: skip
    try:
        until = time.monotonic() + seconds
        while not ready():
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"{command[0]} is not ready:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
