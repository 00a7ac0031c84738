"""The program. `--version` and the list of commands are answered before anything heavy is imported."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import time
from typing import NoReturn

from irkit import __version__

_ENDING = (signal.SIGINT, signal.SIGTERM)
_kept: list[str] = []  # interrupts that nobody has got yet


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
    _listen()
    try:
        from irkit.cli.main import run

        code = run(words)
    except KeyboardInterrupt:
        print("130: interrupted; nothing was changed", file=sys.stderr)
        code = 130
    _leave(code)


def _leave(code: int) -> NoReturn:
    """Exit without waiting for threads: they may wait for a server that does not answer, and what matters is on disk."""
    for number in (*_ENDING, signal.SIGUSR1):  # the run is over, and its exit code stands
        signal.signal(number, signal.SIG_IGN)
    threads = sys.modules.get("threading")
    if code != 130 and (threads is None or threads.active_count() == 1):
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, AttributeError):  # nobody reads it any more
            continue
    os._exit(code)


def _listen() -> None:
    """Have SIGINT and SIGTERM raise KeyboardInterrupt in the main thread, whatever it waits for."""
    for number in _ENDING:
        signal.signal(number, _interrupt)
    signal.signal(signal.SIGUSR1, _again)
    sys.unraisablehook = _dropped
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    _thread.start_new_thread(_nudge, (reader, _thread.get_ident()))


def _nudge(reader: int, main_thread: int) -> None:
    """A signal just before a blocking call does not interrupt it, and Python sees it only after that: wake the main thread."""
    os.read(reader, 1)  # returns when any signal came
    while True:
        time.sleep(0.1)
        signal.pthread_kill(main_thread, signal.SIGUSR1)


def _interrupt(signum: int, frame: object) -> None:  # noqa: ARG001 -- the signature of a handler
    """The first signal ends the run in order; by the second somebody says that this takes too long."""
    for number in _ENDING:
        signal.signal(number, _at_once)
    raise KeyboardInterrupt


def _dropped(what: sys.UnraisableHookArgs) -> None:
    """Python drops what a handler raises inside a finalizer: the interrupt is kept, and raised once more by :func:`_again`."""
    if issubclass(what.exc_type, KeyboardInterrupt):
        _kept.append("interrupt")
    else:
        sys.__unraisablehook__(what)


def _again(signum: int, frame: object) -> None:  # noqa: ARG001
    if _kept:
        _kept.clear()
        raise KeyboardInterrupt


def _at_once(signum: int, frame: object) -> None:  # noqa: ARG001
    os._exit(130)


if __name__ == "__main__":
    main()
