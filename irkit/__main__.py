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
    signal.signal(signal.SIGTERM, _interrupt)
    from irkit.cli.main import run

    code = run(words)
    sys.stdout.flush()
    sys.stderr.flush()
    if code == 130:
        os._exit(code)  # threads may still wait for a server that does not answer; what matters is on disk
    sys.exit(code)


def _interrupt(signum: int, frame: object) -> None:  # noqa: ARG001 -- the signature of a handler
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
