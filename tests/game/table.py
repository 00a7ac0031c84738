"""irkit as a process of its own that plays, read as its lines come or at a terminal."""

from __future__ import annotations

import fcntl
import itertools
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_numbers = itertools.count()


class Table:
    """`irkit rehearse …` as a process of its own, whose lines are read as they come."""

    def __init__(self, room: Path, *words: str) -> None:
        environ = {**os.environ, "TMPDIR": str(room), "IRKIT_HOME": str(room / "none"), "KUBECONFIG": "/nowhere"}
        self._said = room / f"stderr-{next(_numbers)}"
        with self._said.open("w") as stderr:
            self.process = subprocess.Popen([sys.executable, "-m", "irkit", "rehearse", *words], env=environ, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=stderr, text=True)  # fmt: skip

    def said(self, text: str, within: float = 60.0) -> str:
        """All that it told, once ``text`` is among it."""
        until = time.monotonic() + within
        while text not in (told := self._said.read_text()):
            assert time.monotonic() < until, f"it did not say {text!r}:\n{told}"
            assert self.process.poll() is None or text in self._said.read_text(), self._said.read_text()
            time.sleep(0.02)
        return told

    def exports(self) -> dict[str, str]:
        self.said("paste these lines")
        assert self.process.stdout
        lines = [self.process.stdout.readline() for _ in range(6)]
        return dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)

    def ended(self, code: int = 0) -> str:
        out, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == code, self._said.read_text()
        return out


@contextmanager
def table(room: Path, *words: str) -> Iterator[Table]:
    playing = Table(room, *words)
    try:
        yield playing
    finally:
        if playing.process.poll() is None:
            playing.process.kill()
        playing.process.communicate()


def left(room: Path) -> list[str]:
    return sorted(p.name for p in room.iterdir() if p.name.startswith("irkit-"))


def irkit(environ: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "irkit", *words], env={**os.environ, **environ}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)  # fmt: skip


def _owns() -> None:
    """Ctrl-C at this terminal is for this process."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """A process at a terminal of 100 by 40; ``shown`` is all that it wrote, with the codes that move the cursor taken out."""

    def __init__(self, room: Path, *words: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        environ = {**os.environ, "TMPDIR": str(room), "TERM": "xterm-256color", "KUBECONFIG": "/nowhere", "IRKIT_HOME": str(room / "none")}
        command = [sys.executable, "-m", "irkit", *words]
        self.process = subprocess.Popen(command, env=environ, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, preexec_fn=_owns)  # noqa: PLW1509
        os.close(slave)
        self.shown, self._begun = "", b""
        self._found = 0  # what was waited for last ends there in ``shown``; what came with it is waited for next

    def until(self, text: str, within: float = 60.0) -> str:
        """All after what was waited for last, as soon as ``text`` is among it; empty ``text``: to the end."""
        start, limit = self._found, time.monotonic() + within
        while not text or text not in self.shown[start:]:
            assert time.monotonic() < limit, self.shown[start:]
            if not select.select([self._master], [], [], 0.1)[0]:
                continue
            try:
                piece = os.read(self._master, 1 << 16)
            except OSError:  # Linux says so when the other end is closed
                piece = b""
            if not piece:
                assert not text, self.shown[start:]
                break
            self._came(piece)
        self._found = self.shown.index(text, start) + len(text) if text else len(self.shown)
        return self.shown[start:]

    def _came(self, piece: bytes) -> None:
        """A read may end in the middle of a code or of a letter: the rest comes with the next."""
        whole = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", self._begun + piece)
        cut = re.search(rb"(\x1b(\[[0-9;?]*)?|[\xc0-\xff][\x80-\xbf]{0,2})\Z", whole)
        # a letter that is there whole may be kept back, too: nothing waits for one at the very end
        end = cut.start() if cut else len(whole)
        self._begun, self.shown = whole[end:], self.shown + whole[:end].decode("utf-8", "replace")

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)
