"""A rehearsal cluster whose inhabitants mean harm, an operator's irkit, and what may never be seen of them on a terminal."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from irkit.cli import main
from irkit.model.kube import DEPLOYMENTS, PODS, ObjectRef
from irkit.sandbox import Sandbox
from tests.e2e.running import PROGRAM, Irkit

Obj = dict[str, Any]
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
EVIL = "\x1b[31m\x1b]0;owned\x07\u202egnp\u200b\x9b2J\r\nverdict: isolated\n\x00<b>&{{7*7}}${HOME}"
"""What an attacker would like a terminal, a web page, a template or a reader of logs to take for something else."""


@dataclass(frozen=True)
class Told:
    """How a run ended, in bytes: what a terminal would have got."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def said(self) -> str:
        return f"{self.stdout.decode(errors='backslashreplace')}\n{self.stderr.decode(errors='backslashreplace')}"

    @property
    def document(self) -> Obj:
        """stdout, which must be one JSON document and nothing else."""
        found: Obj = json.loads(self.stdout)
        return found

    def ended(self, code: int) -> Told:
        """Itself, if it ended with this code, cleanly."""
        assert self.code == code, f"exit code {self.code}, not {code}:\n{self.said}"
        return self.clean()

    def clean(self) -> Told:
        """Itself, if neither stream has a traceback, a surprise, or a character that a terminal would act upon."""
        for stream in (self.stdout, self.stderr):
            text = stream.decode()  # strictly: what is no UTF-8 was not made printable
            assert "Traceback" not in text, self.said
            assert "unexpected failure" not in text, self.said
            bad = {c for c in text if c != "\n" and unicodedata.category(c) in _HIDDEN}
            assert not bad, f"{sorted(map(ascii, bad))} reached the terminal:\n{self.said}"
        return self

    @property
    def complaint(self) -> str:
        """The sentence of a run that could not: the first line on stderr that begins with the exit code."""
        lines = self.stderr.decode().split("\n")
        return next((line for line in lines if line.startswith(f"{self.code}: ")), "")


@dataclass(frozen=True)
class Laptop:
    """One operator's machine, with little in its environment."""

    kubeconfig: Path | str
    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def environ(self) -> dict[str, str]:
        own = {"KUBECONFIG": str(self.kubeconfig), "IRKIT_HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home) + "-config", "LC_ALL": "C.UTF-8"}
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), **own, **self.environment}

    def run(self, *words: str, timeout: float = 30, umask: int = -1, cwd: Path | None = None) -> Told:
        """One run without a terminal; one that hangs fails."""
        done = subprocess.run([str(PROGRAM), *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, env=self.environ(),
                              umask=umask, cwd=cwd)  # fmt: skip
        return Told(done.returncode, done.stdout, done.stderr)

    def quick(self, *words: str) -> Told:
        """As `run`, but without a process of its own: for many runs that end before anything is done."""
        before, (out, err) = dict(os.environ), (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        own = self.environ()
        os.environ.clear()
        os.environ.update(own)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main.run(list(words))
        finally:
            os.environ.clear()
            os.environ.update(before)
        return Told(code, *(s.buffer.getvalue() for s in (out, err)))

    def both(self, *words: str, code: int) -> tuple[Told, Obj]:
        """The same failure for people and for scripts: one sentence with its exit code, and one document that says the same."""
        told, scripted = self.quick(*words).ended(code), self.quick(*words, "-o", "json").ended(code)
        error: Obj = scripted.document["error"]
        assert scripted.document["exitCode"] == error["code"] == code
        assert told.complaint, f"no line begins with {code}:\n{told.said}"
        assert error["message"].split("\n")[0][:40] in " ".join(told.said.split())
        assert told.stderr.count(b"next:") <= 1
        return told, error

    @property
    def irkit(self) -> Irkit:
        """The same laptop for the helpers of the end-to-end tests."""
        return Irkit(Path(self.kubeconfig), self.home, self.environment)


@dataclass(frozen=True)
class World:
    """A sandbox and the administrator's laptop."""

    box: Sandbox
    laptop: Laptop

    @property
    def namespace(self) -> str:
        return self.box.suspect[0]

    @property
    def pod(self) -> str:
        return self.box.suspect[1]

    @property
    def target(self) -> tuple[str, ...]:
        return self.pod, "-n", self.namespace

    def contain(self, *more: str, code: int = 0) -> Told:
        return self.laptop.quick("contain", *self.target, "--yes", *more).ended(code)

    def incident(self) -> Path:
        """The directory of the only incident."""
        (found,) = (self.laptop.home / "incidents").iterdir()
        return found

    def bag(self) -> Path:
        return self.incident() / "bags" / "1"

    def suspect(self) -> Obj:
        found = self.box.store.find(PODS, self.pod, self.namespace)
        assert found is not None
        return found

    def deployment(self, name: str = "backend") -> Obj:
        found = self.box.store.find(DEPLOYMENTS, name, self.namespace)
        assert found is not None
        return found

    def annotate(self, **patch: Any) -> None:
        """Change the suspect as whoever may write anything would: nothing is validated."""
        self.box.store.patch(PODS, self.pod, patch, self.namespace)

    def writes(self) -> list[str]:
        """What was changed in the cluster since it started, by irkit."""
        made = [e for e in self.box.audit if e["verb"] in ("create", "update", "patch", "delete")]
        made = [e for e in made if "dryRun=All" not in e["requestURI"] and "selfsubject" not in e["requestURI"]]
        return [f"{e['verb']} {e['objectRef']['resource']}" for e in made if e["responseStatus"]["code"] < 300]


def edited(kubeconfig: Path | str, to: Path, **changes: Any) -> Path:
    """A copy of a kubeconfig with other ``cluster``, ``user`` or ``context`` fields; a value of None takes the field out."""
    document = yaml.safe_load(Path(kubeconfig).read_text())
    for section, fields in changes.items():
        entry = document[f"{section}s"][0][section]
        entry.update(fields)
        for key in [k for k, v in entry.items() if v is None]:
            del entry[key]
    to.write_text(yaml.safe_dump(document))
    to.chmod(0o600)
    return to


def everything(directory: Path) -> bytes:
    """All bytes below a directory, names included: for looking after what must not be there."""
    return b"\n".join([str(p).encode("utf-8", "surrogateescape") + (p.read_bytes() if p.is_file() else b"") for p in directory.rglob("*")])


def ref(resource: Any, name: str, namespace: str) -> ObjectRef:
    return ObjectRef(resource=resource, name=name, namespace=namespace)
