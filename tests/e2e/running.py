"""irkit as a user runs it: the installed program as a process of its own, with its own home, at a terminal or without one."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

PROGRAM = Path(sys.executable).with_name("irkit")
Obj = dict[str, Any]
Reply = str | Callable[[], str]


@dataclass(frozen=True)
class Answer:
    """How a run ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Obj:
        """stdout, which must be just one JSON document."""
        found: Obj = json.loads(self.stdout)
        return found

    @property
    def said(self) -> str:
        """Both streams, for messages of failed tests and for sentences that may be on either."""
        return f"{self.stdout}\n{self.stderr}"

    def ended(self, code: int) -> Answer:
        """Itself, if it ended with this code and without a traceback."""
        assert self.code == code, f"exit code {self.code}, not {code}:\n{self.said}"
        assert "Traceback (most recent call last)" not in self.said, self.said
        return self


@dataclass(frozen=True)
class Irkit:
    """One person with a laptop: a kubeconfig and a home where incidents are kept. Commands are typed in the home's parent."""

    kubeconfig: Path
    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def using(self, kubeconfig: Path) -> Irkit:
        """The same laptop with another kubeconfig."""
        return replace(self, kubeconfig=kubeconfig)

    def elsewhere(self, home: Path) -> Irkit:
        """The same person at another laptop."""
        return replace(self, home=home)

    def configured(self, path: Path, **settings: object) -> Irkit:
        """With these settings, in a file at ``path``."""
        path.write_text(yaml.safe_dump(settings))
        return replace(self, environment={**self.environment, "IRKIT_CONFIG": str(path)})

    def environ(self) -> dict[str, str]:
        """The environment of its processes: little of the tests' own."""
        own = {"KUBECONFIG": str(self.kubeconfig), "IRKIT_HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / "config"), "LC_ALL": "C.UTF-8"}
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), **own, **self.environment}

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Begin a run without a terminal."""
        return subprocess.Popen(
            [str(PROGRAM), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environ(),
            cwd=self.home.parent,
        )

    def run(self, *words: str, timeout: float = 120) -> Answer:
        """One run without a terminal."""
        return finish(self.start(*words), timeout)

    def json(self, *words: str, code: int = 0) -> Obj:
        """The document of a run with ``-o json`` that must end with ``code``."""
        return self.run(*words, "-o", "json").ended(code).document

    def asked(self, *words: str, answers: Sequence[Reply], timeout: float = 60) -> Answer:
        """One run at a terminal; each ``[y/N]`` is answered in turn. All that was shown is in ``stdout``, as on the screen.

        An answer may be a function: it is called while the question stands, and says what to answer.
        """
        master, slave = pty.openpty()
        environ = {**self.environ(), "TERM": "xterm", "COLUMNS": "200", "NO_COLOR": "1"}
        command = [str(PROGRAM), *words]
        process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environ, cwd=self.home.parent, start_new_session=True)
        os.close(slave)
        try:
            shown = _converse(master, list(answers), time.monotonic() + timeout)
        finally:
            os.close(master)
        return Answer(process.wait(timeout), shown.replace("\r\n", "\n"), "")


def finish(process: subprocess.Popen[str], timeout: float = 120) -> Answer:
    """Wait for the end of a run; one that hangs is killed, and fails."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"irkit hung for {timeout} s; it had said:\n{out}\n{err}") from None
    return Answer(process.returncode, out, err)


def _converse(terminal: int, answers: list[Reply], until: float) -> str:
    shown, answered = b"", 0
    while True:
        ready, _, _ = select.select([terminal], [], [], max(0.0, until - time.monotonic()))
        assert ready, f"nothing more was shown, and it does not end:\n{shown.decode(errors='replace')}"
        try:
            more = os.read(terminal, 65536)
        except OSError:  # EIO: the other end is closed
            return shown.decode(errors="replace")
        if not more:
            return shown.decode(errors="replace")
        shown += more
        if shown.count(b"[y/N] ") > answered:
            answered += 1
            assert answers, f"it asked once more than expected:\n{shown.decode(errors='replace')}"
            reply = answers.pop(0)
            os.write(terminal, (reply if isinstance(reply, str) else reply()).encode() + b"\n")


# what the audit log says


def dry(event: Obj) -> bool:
    """Whether a request was only tried (dryRun=All)."""
    return "dryRun=All" in event["requestURI"]


def review(event: Obj) -> bool:
    """Whether a request only asked who the user is or what the user may."""
    return _object(event).get("resource") in ("selfsubjectaccessreviews", "selfsubjectreviews", "selfsubjectrulesreviews")


def writes(events: Sequence[Obj]) -> list[Obj]:
    """The requests that changed something, or tried to: no reads, no reviews, no dry runs."""
    return [e for e in events if e["verb"] not in ("get", "list", "watch") and not review(e) and not dry(e)]


def what(event: Obj) -> str:
    """``patch pods``, ``patch deployments/scale``, ``get pods/log``."""
    ref = _object(event)
    return f"{event['verb']} {ref.get('resource', event['requestURI'])}" + (f"/{ref['subresource']}" if "subresource" in ref else "")


def _object(event: Obj) -> Obj:
    """What a request is about; empty for those that are about no object, as ``/version``."""
    found: Obj = event.get("objectRef", {})
    return found


def manager(event: Obj) -> str:
    """The field manager that a write named."""
    found = re.search(r"[?&]fieldManager=([^&]*)", event["requestURI"])
    return found[1] if found else ""
