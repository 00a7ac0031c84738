"""irkit with a person beside it: what only a human can say is asked at a terminal, and stdout is one document all the same."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import threading

from tests.e2e.running import PROGRAM, Answer, Irkit, finish

QUESTION = re.compile(rb"or press Enter to stop here: |leaves it for later\): ")


class Talk:
    """A run with ``-o json`` whose stdin and stderr are a terminal. Each instruction gets ``reply``; a value that is asked for, nothing."""

    def __init__(self, irkit: Irkit, *words: str, reply: str = "looked at it with the team") -> None:
        self._master, slave = pty.openpty()
        self._reply, self.shown = reply.encode() + b"\n", b""
        self.process = subprocess.Popen(
            [str(PROGRAM), *words, "-o", "json"], stdin=slave, stdout=subprocess.PIPE, stderr=slave, text=True, cwd=irkit.home.parent,
            env={**irkit.environ(), "TERM": "xterm", "COLUMNS": "200", "NO_COLOR": "1"}, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        answered = 0
        while True:
            try:
                more = os.read(self._master, 65536)
            except OSError:  # EIO: the other end is closed
                return
            self.shown += more
            asked = QUESTION.findall(self.shown)
            for question in asked[answered:]:
                os.write(self._master, self._reply if question.startswith(b"or press") else b"\n")
            answered = len(asked)

    def end(self, timeout: float = 120) -> Answer:
        """Wait for the end. What the terminal showed is in ``stderr``."""
        try:
            done = finish(self.process, timeout)
        finally:
            self._listener.join(10)
            os.close(self._master)
        return Answer(done.code, done.stdout, self.shown.decode(errors="replace").replace("\r\n", "\n"))
