"""Start a program for a test, in a directory of its own, and end it again, whatever happens to the test run."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.controlplane.cluster import alive


@contextlib.contextmanager
def directory(kind: str) -> Iterator[Path]:
    """A new directory for the time of a block. It is removed by the next run where this one is killed.

    Not in $TMPDIR: the path of a socket has 107 bytes.
    """
    parent = Path("/tmp") / f"irkit-components-{os.getuid()}"
    parent.mkdir(mode=0o711, exist_ok=True)
    for left in parent.iterdir():
        if not alive(int(left.name.split("-")[1])):
            shutil.rmtree(left, ignore_errors=True)
    home = Path(tempfile.mkdtemp(prefix=f"{kind}-{os.getpid()}-", dir=parent))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


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
        process.send_signal(signal.SIGCONT)  # a test may have stopped it
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
