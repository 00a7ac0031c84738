"""What the tests of games on a real cluster share."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from irkit.app.staging.ledger import Made, namespace_of
from tests.controlplane.running import Running
from tests.e2e.running import PROGRAM, Irkit

Obj = dict[str, Any]
NOW = datetime(2026, 11, 22, 3, 15, tzinfo=UTC)
COMMAND = ("rehearse", "--staging", "test", "--confirm", "test")


def made(identifier: str = "20261122t031500z-abcdef", **more: str) -> Made:
    return Made(**{"id": identifier, "namespace": namespace_of(identifier), "context": "test", "server": "https://x", "cluster": "c", **more})


def games_of(plane: Running) -> list[str]:
    return [n["metadata"]["name"] for n in plane.get("namespaces")["items"] if n["metadata"]["name"].startswith("irkit-game-")]


class Game:
    """A game that people play from another terminal."""

    def __init__(self, irkit: Irkit, *words: str) -> None:
        self.process = irkit.start(*COMMAND, *words)
        self.said, self.exports = "", dict[str, str]()
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            if found := re.match(r"export (\w+)='?([^'\n]*)", line):
                self.exports[found[1]] = found[2]
            if "next:" in line:
                break
        found_pod = re.search(r"kubectl describe pod (\S+) -n (\S+)", self.said)
        assert found_pod, self.said
        self.suspect, self.namespace = found_pod[1], found_pod[2]

    def end(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err


def called(irkit: Irkit, path: Path, name: str, server: str = "") -> Irkit:
    """The same cluster by a kubeconfig whose context is called so."""
    document = json.loads(irkit.kubeconfig.read_text())
    document["current-context"] = document["contexts"][0]["name"] = name
    if server:
        document["clusters"][0]["cluster"]["server"] = server
    path.write_text(json.dumps(document))
    return irkit.using(path)


def typed(irkit: Irkit, text: str) -> tuple[int, str]:
    """A person who types the context's name, and Ctrl-C when the game has begun."""
    master, slave = pty.openpty()
    environ = {**irkit.environ(), "TERM": "dumb", "COLUMNS": "200"}
    command = [str(PROGRAM), "rehearse", "--staging", "test", "--yes"]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environ, start_new_session=True)
    os.close(slave)
    shown, answered, ended, until = b"", False, False, time.monotonic() + 90
    while process.poll() is None or select.select([master], [], [], 0.1)[0]:
        assert time.monotonic() < until, shown.decode(errors="replace")
        if select.select([master], [], [], 0.1)[0]:
            try:
                more = os.read(master, 65536)
            except OSError:
                break
            shown += more
        if b"to go on (test): " in shown and not answered:
            os.write(master, text.encode() + b"\n")
            answered = True
        if b"next:      kubectl" in shown and not ended:
            process.send_signal(signal.SIGINT)
            ended = True
    os.close(master)
    return process.wait(60), shown.decode(errors="replace")
