"""A directory for one game, gone when the game is; what a game left that was killed goes with the next one."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

PREFIX = "irkit-game-"
_LOCK = "playing"
_MAKING = 600.0  # seconds; it takes milliseconds


@contextmanager
def directory() -> Iterator[Path]:
    """Mode 0700; held by a lock that ends with the process, however that ends."""
    _sweep()
    with TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
        home = Path(name)
        with (home / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (home / "lock").rename(home / _LOCK)  # nobody sees it unlocked
            yield home


def _sweep() -> None:
    """Remove what belongs to no process any more. A directory without a lock file is just being made, if it is not old."""
    for home in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            if home.is_symlink() or home.stat().st_uid != os.getuid():
                continue
            if not (home / _LOCK).exists() and time.time() - home.stat().st_mtime > _MAKING:
                shutil.rmtree(home, ignore_errors=True)
                continue
            with (home / _LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(home, ignore_errors=True)
        except OSError:  # played in, or gone by now
            continue
