"""The transcript in docs/transcript.md: a containment, a lift, an interruption and a resume, on a real control plane, at a terminal.

`python -m tests.docs.transcript` starts a control plane with the documented Todo app, types the commands, and prints what
a person would have seen. `tests/docs/test_readme_transcript.py` runs it again and compares.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import pty
import re
import secrets
import select
import shlex
import shutil
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Sequence
from pathlib import Path

import irkit.sandbox.scenarios
from tests.controlplane.running import Running, running
from tests.docs import pages

MANIFESTS = Path(irkit.sandbox.scenarios.__file__).with_name("todo-app.yaml")
COLUMNS = 100
PAGE = pages.ROOT / "docs" / "transcript.md"
CTRL_C = b"\x03"
PROMPT = re.compile(rb"\[y/N\] |Enter to stop here: |leaves it for later\): ")
CONFIG = """\
contacts:
- {name: security, address: security@example.com}
- {name: incident commander, address: +49 30 5550100}
"""


class Terminal:
    """Somebody at a terminal: a home directory, a kubeconfig, and what was shown so far."""

    def __init__(self, home: Path, kubeconfig: Path, config: str = CONFIG, **environment: str) -> None:
        self._home = home
        self._environ = {
            "PATH": str(Path(sys.executable).parent), "HOME": str(home), "KUBECONFIG": str(kubeconfig), "TERM": "xterm",
            "COLUMNS": str(COLUMNS), "NO_COLOR": "1", "LC_ALL": "C.UTF-8", **environment,
        }  # fmt: skip
        (home / ".config" / "irkit").mkdir(parents=True)
        (home / ".config" / "irkit" / "config.yaml").write_text(config)
        self.shown: list[str] = []

    def type(self, command: str, *answers: bytes, code: int, seconds: float = 120) -> str:
        """Type a command, answer its questions, and wait until it ends with ``code``. Returns what was on the screen."""
        master, slave = pty.openpty()
        process = subprocess.Popen(shlex.split(command), stdin=slave, stdout=slave, stderr=slave, env=self._environ, start_new_session=True,
                                   preexec_fn=_control)  # noqa: PLW1509 -- there are no threads here  # fmt: skip
        os.close(slave)
        try:
            screen = _converse(master, list(answers), time.monotonic() + seconds)
        finally:
            os.close(master)
        ended = process.wait(seconds)
        assert ended == code, f"$ {command}\n{screen}\nended with {ended}, not {code}"
        text = _settled(screen).replace(str(self._home), "/home/oncall")
        self.shown.append(f"$ {command}\n{text}")
        return text


def _control() -> None:
    """The terminal becomes the one whose Ctrl-C reaches the process."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _converse(terminal: int, answers: list[bytes], until: float) -> str:
    shown, asked = b"", 0
    while True:
        ready, _, _ = select.select([terminal], [], [], max(0.0, until - time.monotonic()))
        assert ready, f"nothing more is shown, and it does not end:\n{shown.decode(errors='replace')}"
        try:
            more = os.read(terminal, 65536)
        except OSError:  # EIO: the other end is closed
            more = b""
        if not more:
            return shown.decode().replace("\r\n", "\n")
        shown += more
        if len(PROMPT.findall(shown)) > asked:
            asked += 1
            assert answers, f"one question more than expected:\n{shown.decode(errors='replace')}"
            answer = answers.pop(0)
            os.write(terminal, answer if answer == CTRL_C else answer + b"\n")


def _settled(screen: str) -> str:
    """What stays on the screen: progress that redraws its line is gone in the end."""
    lines = [line.rpartition("\x1b[2K")[2].rpartition("\r")[2] for line in screen.split("\n")]
    return "\n".join(line.rstrip() for line in lines)


def produce(plane: Running, home: Path) -> str:
    """Play all of it; returns the transcript. Leaves namespaces ``todo-app`` and ``irkit-system`` to whoever called."""
    plane.kubectl("create", "namespace", "irkit-system")
    plane.apply(MANIFESTS.read_text())
    first, second = sorted(p["metadata"]["name"] for p in plane.pods("todo-app", "app=backend", count=3))[:2]
    person = Terminal(home, plane.admin_kubeconfig)
    person.type(f"irkit verify {first} -n todo-app", code=5)
    person.type(f"irkit contain {first} -n todo-app", b"y", b"y", code=0)
    person.type("irkit lift --pod return", b"y", code=0)
    plane.pods("todo-app", "app=backend", count=3)
    if second not in {p["metadata"]["name"] for p in plane.pods("todo-app", "app=backend")}:
        second = next(p["metadata"]["name"] for p in plane.pods("todo-app", "app=backend") if p["metadata"]["name"] != first)
    screen = person.type(f"irkit contain {second} -n todo-app", b"y", CTRL_C, code=130)
    incident = _one(r"irkit resume (\S+)", screen)
    person.type(f"irkit resume {incident}", b"y", code=0)
    person.type(f"irkit bundle verify {incident}", code=0)
    return "\n".join(person.shown)


def _one(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found, f"no {pattern} in:\n{text}"
    return found[1]


def normalised(text: str) -> str:
    """Without what is another one in every run: names that a controller chose, ids, times, ports, sizes and durations.

    What was done at the same time is in the order of the alphabet.
    """
    for pattern, name in _VARIES:
        text = re.sub(pattern, name, text, flags=re.MULTILINE)
    entries = re.split(r"\n(?! {16})", text)  # of what took several lines, the others are indented as far as this
    ordered = [line for together, same in itertools.groupby(entries, _together) for line in (sorted(same) if together else same)]
    return re.sub(r"\s+", " ", "\n".join(ordered))  # a name's length moves the ends of wrapped lines


def _together(entry: str) -> str:
    found = re.match(r"  TIME  (rotate|retire) ", entry)
    return found[1] if found else ""


_VARIES: Sequence[tuple[str, str]] = (
    (r"\b\d{8}T\d{6}Z-[a-z0-9-]+", "INCIDENT"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UID"),
    (r"\b(backend|frontend|postgres|mcp-server)-[0-9a-f]{8,10}(-[a-z0-9]{5})?\b", r"\1-HASH"),
    (r"\birkit-[a-z0-9]{6}\b", "irkit-SHORT"),
    (r"\birkit\.dev/incident=[a-z0-9]{6}\b", "irkit.dev/incident=SHORT"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"\b\d\d:\d\d:\d\d\.\d{3}", "TIME"),
    (r"\bnode-\d\b", "NODE"),
    (r"\b\d+(\.\d)? (B|kB|MB)\b", "SIZE"),
    (r"\b\d+(\.\d+)? (s|min)\b", "AGE"),
    (r"\b\d+ (artefacts?|files?|endpoints?|moments)\b", r"SOME \1"),
    (r"\bof\s+\d+\s+pods\s+only\b", "of SOME pods only"),  # those that are ending are there, too
    (r"^  \S+ \S+: \d+ of \d+ pods ready.*\n", ""),  # progress, of what takes longer than a moment
    (r"\bsha256:[0-9a-f]{64}\b", "DIGEST"),
    (r"\b(kv-|role_|kube-api-access-)[0-9a-z]+\b", r"\1NAME"),
)


def short_home() -> Path:
    """A directory whose name is as long as /home/oncall, so that lines wrap where they would there."""
    home = Path(tempfile.gettempdir()) / secrets.token_hex(4)[:7]
    home.mkdir(mode=0o700)
    return home


def main() -> None:
    """Print it; with ``--write``, put it into its page."""
    home = short_home()
    try:
        with running(nodes=3) as plane:
            text = produce(plane, home)
    finally:
        shutil.rmtree(home)
    if sys.argv[1:] == ["--write"]:
        pages.write(PAGE, "transcript", f"```console\n{text}```\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
