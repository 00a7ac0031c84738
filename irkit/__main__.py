"""The program. `--version` and the list of commands are answered before anything heavy is imported."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

from irkit import __version__


def main() -> NoReturn:
    """Run and exit with a documented code (design.md §5); never a traceback for what a person or a cluster did wrong."""
    words = sys.argv[1:]
    if words in (["--version"], ["-V"]):
        print(f"irkit {__version__}")
        sys.exit(0)
    if words in ([], ["--help"], ["-h"], ["help"]):
        from irkit.cli.commands import overview

        print(overview())
        sys.exit(0 if words else 2)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        from irkit.cli.main import run

        code = run(words)
    except KeyboardInterrupt:
        print("130: interrupted; nothing was changed", file=sys.stderr)
        code = 130
    _leave(code)


def _leave(code: int) -> NoReturn:
    """Exit without waiting for threads: they may wait for a server that does not answer, and what matters is on disk."""
    threads = sys.modules.get("threading")
    if code != 130 and (threads is None or threads.active_count() == 1):
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, AttributeError):  # nobody reads it any more
            continue
    os._exit(code)


def _interrupt(signum: int, frame: object) -> None:  # noqa: ARG001 -- the signature of a handler
    """The first signal ends the run in order; by the second somebody says that this takes too long."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _at_once)
    raise KeyboardInterrupt


def _at_once(signum: int, frame: object) -> None:  # noqa: ARG001
    os._exit(130)


if __name__ == "__main__":
    main()
