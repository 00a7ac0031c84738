"""docs/game.cast: one game as a recording of text, for `asciinema play` (asciicast v2, docs.asciinema.org/manual/asciicast/v2).

`python -m tests.docs.cast` plays a game at a terminal and keeps what was shown and when. It is no film of somebody's machine:
the program runs in an empty home directory.
"""

from __future__ import annotations

import codecs
import fcntl
import json
import os
import pty
import shutil
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

from tests.docs import pages, transcript

PAGE = pages.ROOT / "docs" / "game.cast"
COLUMNS, ROWS = 100, 32
COMMAND = ("irkit", "rehearse", "--watch", "--scenario", "first-contact")


def record(seconds: float = 60.0) -> str:
    """Play it; returns the recording. Raises AssertionError where it does not end well."""
    home = transcript.short_home()
    master, slave = pty.openpty()
    try:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        environ = {"PATH": str(Path(sys.executable).parent), "HOME": str(home), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        process = subprocess.Popen(COMMAND, stdin=slave, stdout=slave, stderr=slave, env=environ, start_new_session=True)
        os.close(slave)
        events = _kept(master, time.monotonic(), home)
        assert process.wait(seconds) == 0, events[-1:]
    finally:
        os.close(master)
        shutil.rmtree(home)
    header = {"version": 2, "width": COLUMNS, "height": ROWS, "command": " ".join(COMMAND), "env": {"TERM": "xterm-256color"}}
    return "\n".join(json.dumps(line, ensure_ascii=False) for line in (header, *events)) + "\n"


def _kept(master: int, began: float, home: Path) -> list[tuple[float, str, str]]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    events: list[tuple[float, str, str]] = []
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:  # EIO: the other end is closed
            data = b""
        if not data:
            return events
        text = decoder.decode(data).replace(str(home), "/home/oncall")
        events.append((round(time.monotonic() - began, 3), "o", text))


def main() -> None:
    PAGE.write_text(record())


if __name__ == "__main__":
    main()
