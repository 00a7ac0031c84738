"""A directory for one game, gone when the game is; what a game left that was killed goes with the next one."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

PREFIX = "irkit-game-"
_LOCK = "playing"


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
    """Remove what belongs to no process any more. A directory without a lock file is just being made, or somebody else's."""
    for home in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            if home.is_symlink() or home.stat().st_uid != os.getuid():
                continue
            with (home / _LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(home, ignore_errors=True)
        except OSError:  # played in, or gone by now
            continue
