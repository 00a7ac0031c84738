"""Running a program that judges images: no shell, a time limit, a bound on what it may print; its whole group ends with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from irkit.errors import ScannerError, UnreachableError
from irkit.text import printable

_LIMIT = 256 << 20  # octets of what it prints


def find(name: str) -> str | None:
    """The program on PATH; None where there is none."""
    return shutil.which(name)


def run(argv: Sequence[str], timeout: float) -> bytes:
    """What it printed. Raises ScannerError where it failed, UnreachableError where it took longer than ``timeout`` seconds."""
    name = Path(argv[0]).name
    with TemporaryFile() as out, TemporaryFile() as said:
        try:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=said, start_new_session=True)
        except OSError as error:
            raise ScannerError(f"{name} can't be run: {error.strerror}") from None
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise UnreachableError(f"{name} took longer than {timeout:g} s, and was ended", next="a longer recovery.scan-timeout") from None
        finally:
            if process.poll() is None:  # also on Ctrl-C: nothing of it may be left
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if code:
            how = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
            raise ScannerError(f"{name} {how}{_last(said)}")
        if out.seek(0, os.SEEK_END) > _LIMIT:
            raise ScannerError(f"{name} printed more than {_LIMIT >> 20} MiB")
        out.seek(0)
        return out.read()


def _last(said: IO[bytes]) -> str:
    """The last line that it said, in words for people."""
    said.seek(max(0, said.seek(0, os.SEEK_END) - 4096))
    lines = [line for line in said.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return f": {printable(lines[-1].strip(), 200)}" if lines else ""
