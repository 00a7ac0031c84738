"""While credentials are rotated on the real stores no value of theirs leaves irkit: not by the screen, a document, journal, bag, report,
hand-over copy, temporary file, error or list of processes; neither the old ones nor the new ones, nor what irkit logs in with."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.controlplane.running import Running
from tests.e2e.running import Irkit
from tests.e2e.talking import Talk
from tests.faults.harm import Answer, Match, Request, before
from tests.hostile.test_secrets import found
from tests.hostile.world import everything

if TYPE_CHECKING:
    from tests.components.openbao import OpenBao
    from tests.components.postgres import Postgres
    from tests.e2e.todo import Todo

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]


@pytest.fixture
def app(control_plane: Running, namespace: str, external_secrets: Path, openbao: OpenBao, postgres: Postgres) -> Iterator[Todo]:
    from tests.e2e import todo

    with todo.deployed(control_plane, namespace, openbao, postgres) as made:
        yield made


@dataclass
class Spy(threading.Thread):
    """What others on the machine may see of one process, until it ends: its and its children's arguments, every file in ``places``,
    and every file that it has open to write, also one without a name."""

    process: subprocess.Popen[str]
    places: Sequence[Path]
    arguments: set[bytes] = field(default_factory=set)
    contents: set[bytes] = field(default_factory=set)
    _states: dict[Path, tuple[int, int, int]] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)  # files open to write that are in none of the places

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self.start()

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        while self.process.poll() is None:
            for pid in (self.process.pid, *self._children(self.process.pid)):
                self._look(Path("/proc", str(pid)))
            for place in self.places:
                self._read(place)
            threading.Event().wait(0.002)

    def _look(self, proc: Path) -> None:
        try:
            self.arguments.add((proc / "cmdline").read_bytes())
            for number in (proc / "fd").iterdir():
                flags = int((proc / "fdinfo" / number.name).read_text().split("flags:")[1].split()[0], 8)
                name = str(number.readlink())
                if flags & os.O_ACCMODE and number.is_file():
                    self.contents.add(number.read_bytes())
                    if not any(Path(name.removesuffix(" (deleted)")).is_relative_to(p) for p in self.places):
                        self.elsewhere.add(name)
        except (OSError, IndexError, ValueError):  # it has ended, or closed it
            return

    def _read(self, place: Path) -> None:
        for directory, _, names in os.walk(place):  # which passes over what vanishes meanwhile
            for path in (Path(directory, name) for name in names):
                with contextlib.suppress(OSError):
                    state = path.stat()
                    if self._states.get(path) != (now := (state.st_ino, state.st_size, state.st_mtime_ns)):
                        self._states[path] = now
                        self.contents.add(os.fsencode(path) + b"\n" + path.read_bytes())

    def _children(self, pid: int) -> Iterator[int]:
        try:
            children = [int(c) for task in Path(f"/proc/{pid}/task").iterdir() for c in (task / "children").read_text().split()]
        except OSError:
            return
        for child in children:
            yield child
            yield from self._children(child)


LEAK = """
import os, subprocess, sys, tempfile, time
value = sys.stdin.readline().strip()
with tempfile.TemporaryFile() as file:
    file.write(value[::-1].encode()); file.flush()
    with tempfile.NamedTemporaryFile() as named:
        named.write(value.encode().hex().encode()); named.flush()
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.3)", value])
"""


def test_the_spy_finds_what_leaks(tmp_path: Path) -> None:
    """A process that gives its secret to a child's arguments and to two files which are gone when it ends."""
    canary = "canary-of-the-spy-0815"
    process = subprocess.Popen([sys.executable, "-c", LEAK], stdin=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    spy = Spy(process, [tmp_path])
    process.communicate(f"{canary}\n", timeout=30)
    spy.join(10)
    assert list(tmp_path.iterdir()) == [], "nothing is left to be found afterwards"
    assert found([canary], *spy.arguments) == [canary]
    assert {canary[::-1].encode(), canary.encode().hex().encode()} <= {c.rpartition(b"\n")[2] for c in spy.contents}
    assert found([canary], base64.b64encode(b"x" + canary.encode())) == [canary]
    assert found([canary], b"something else") == []


@dataclass
class Ear:
    """Everything that irkit said, and that was seen of it, in all of its runs."""

    irkit: Irkit
    places: list[Path]
    heard: list[bytes] = field(default_factory=list)

    def run(self, *words: str, code: int) -> str:
        """A run with a person beside it: stdout is a document, the terminal has the rest."""
        talk = Talk(self.irkit, *words)
        return self._ended(Spy(talk.process, self.places), talk.end, code)

    def text(self, *words: str, code: int) -> str:
        from tests.e2e.running import finish

        process = self.irkit.start(*words)
        return self._ended(Spy(process, self.places), lambda: finish(process), code)

    def _ended(self, spy: Spy, end: Callable[[], object], code: int) -> str:
        from tests.e2e.running import Answer as Ended

        ended = end()
        assert isinstance(ended, Ended)
        spy.join(10)
        assert spy.arguments, "it was seen at least once"
        self.heard += [ended.said.encode(), *spy.arguments, *spy.contents, "\n".join(spy.elsewhere).encode()]
        assert {e for e in spy.elsewhere if not e.startswith("/dev/")} == set(), "it writes nowhere else"
        return ended.ended(code).stdout


@pytest.fixture
def irkit_system(control_plane: Running) -> Iterator[None]:
    control_plane.kubectl("create", "namespace", "irkit-system")
    yield
    control_plane.kubectl("delete", "namespace", "irkit-system", "--timeout=60s")


@pytest.mark.usefixtures("irkit_system")
def test_no_value_leaves(app: Todo, control_plane: Running, tmp_path: Path) -> None:
    from tests.e2e import todo
    from tests.e2e.test_chain_killed import between

    scratch, settings, home = (tmp_path / name for name in ("scratch", "settings", "home"))
    for directory in (scratch, settings):
        directory.mkdir()
    value, word = todo.vendors_key(settings)
    oncall = app.known_to(Irkit(control_plane.token_kubeconfig, home), settings)
    oncall = replace(oncall, environment={**oncall.environment, "TMPDIR": str(scratch)})
    suspect = app.suspect
    with between(app, oncall, settings) as there:
        for server, where, status in (("kubernetes", "/secrets/session-secret", 422), ("vault", f"/{todo.ENTRY}", 400)):
            answer = bytearray()
            there.proxies[server].when(echo(where, answer), before(Answer(status, answer, {"Content-Type": "application/json"})))  # type: ignore[arg-type]
        ear = Ear(there.irkit, [scratch, home])
        ear.text("blast-radius", suspect, "-n", app.namespace, code=0)
        ear.text("rotate", suspect, "-n", app.namespace, "--dry-run", code=0)
        ear.run(*app.chain(suspect, word), code=1)  # the servers say no, and repeat what they were sent
        for proxy in there.proxies.values():
            assert [r for r in proxy.requests if r.status is None], "that was provoked"
            proxy.heal()
        held = app.secrets()
        incident = json.loads(ear.run("resume", "--yes", "--value", word, code=0))["incident"]
        for words, code in (
            (("resume", incident, "-o", "json"), 0), (("verify", incident), 0), (("incident", "show", incident), 0),
            (("incident", "show", incident, "-o", "json"), 0), (("incident", "report", incident), 0), (("bundle", "show"), 0),
            (("rotate", "--due", "-n", app.namespace), 0), (("lift", incident, "--pod", "delete", "--yes"), 0),
            (("incident", "close", incident, "--yes"), 0),
        ):  # fmt: skip
            ear.text(*words, code=code)
    new = todo.rotated(app, value)
    bearer = json.loads(control_plane.token_kubeconfig.read_text())["users"][0]["user"]["token"]
    canaries = {
        *app.old.values(),
        *new.values(),
        *held["session-secret"].values(),
        value,
        app.token,
        app.admin[1],
        bearer,
        held["openbao-token"]["token"],
    }
    assert min(map(len, canaries)) >= 12
    assert found(sorted(canaries), *ear.heard) == []
    kept = everything(home)
    assert b"GROQ_API_KEY" in kept, "that there is such a key is evidence"
    assert found(sorted(canaries), kept, everything(scratch), (app.postgres.home / "log").read_bytes()) == []
    copies = [c for c in control_plane.get("configmaps", "-n", "irkit-system")["items"] if c["metadata"]["name"].startswith("irkit-")]
    assert copies
    assert found(sorted(canaries), *(gzip.decompress(base64.b64decode(v)) for c in copies for v in c["binaryData"].values())) == []


def echo(where: str, answer: bytearray) -> Match:
    """A write there; ``answer`` becomes an error that repeats all that was sent, as careless servers and webhooks do."""

    def hit(request: Request) -> bool:
        if request.method not in ("POST", "PUT", "PATCH") or not request.path.endswith(where) or request.dry_run:
            return False
        sent = request.body.decode()
        plain = " ".join(base64.b64decode(v).decode(errors="replace") for v in (json.loads(sent).get("data") or {}).values() if isinstance(v, str))
        text = f"denied: invalid value {plain} in {sent}"
        answer[:] = json.dumps({"kind": "Status", "apiVersion": "v1", "message": text, "reason": "Invalid", "errors": [text]}).encode()
        return True

    return hit
