"""One rehearsal cluster with one operator, whose irkit talks to it through the fault proxy; and what must hold at the end."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bagit
import yaml

from irkit.engine import journal, library
from irkit.engine.home import Home
from irkit.engine.state import State
from irkit.sandbox import Sandbox
from tests.e2e.running import Answer, Irkit, dry, finish, review, what
from tests.faults.harm import Match, Request, Timed, writes
from tests.faults.proxy import Proxy

Obj = dict[str, Any]
_PASSING = {"Event", "Lease"}
_VOLATILE = {"uid", "resourceVersion", "managedFields", "generation", "observedGeneration"}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z")
SHARED = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "irkit-system"}}
"""Where irkit keeps Leases and copies of journals, in clusters that have it."""
WRITES = ["create networkpolicies", "patch pods", "create poddisruptionbudgets", "patch deployments/scale"]
"""What a containment changes, each exactly once, in this order."""


@dataclass
class World:
    box: Sandbox
    proxy: Proxy
    irkit: Irkit
    pods: tuple[str, ...] = field(init=False)  # of the suspect's workload, when it began

    def __post_init__(self) -> None:
        self.pods = self.backends()

    @property
    def contain(self) -> tuple[str, ...]:
        """The words of the command under test."""
        namespace, pod = self.box.suspect
        return "contain", pod, "-n", namespace, "--yes"

    def backends(self) -> tuple[str, ...]:
        """Names of the pods that the suspect's workload has, or had."""
        pods = [o for s, o in self.box.store.everything() if s.resource.kind == "Pod" and o["metadata"]["name"].startswith("backend-")]
        return tuple(sorted(p["metadata"]["name"] for p in pods))

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """A run in the background, which the proxy may kill."""
        process = self.irkit.start(*words)
        self.proxy.victim = process.pid
        return process

    def ended(self, *words: str, timeout: float = 120) -> Answer:
        """A run which the proxy may kill, to its end."""
        return finish(self.begin(*words), timeout)

    def harmed(self, match: Match, timed: Timed, *words: str, times: int = 1) -> Answer:
        """One run with this harm done to its matching requests, and healed after it."""
        self.proxy.when(match, timed, times=times)
        answer = self.ended(*words)
        self.proxy.heal()
        return answer

    @property
    def home(self) -> Home:
        return Home(self.irkit.home)

    @property
    def incidents(self) -> list[str]:
        return self.home.ids()

    @property
    def incident(self) -> str:
        """The only one."""
        (found,) = self.incidents
        return found

    @property
    def directory(self) -> Path:
        return self.home.directory(self.incident)

    @property
    def state(self) -> State:
        """From the journal, whose chain is verified by the way."""
        return self.home.load(self.incident)

    # what must hold

    def final(self) -> Obj:
        """All objects of the cluster without what differs between two runs: times, uids, the incident's id."""
        assert self.box.settle(), "the controllers did not come to rest"
        found = {}
        for served, obj in self.box.store.everything():
            if served.resource.kind not in _PASSING:
                meta = obj["metadata"]
                found[f"{served.resource.kind} {meta.get('namespace', '')}/{meta['name']}"] = _steady(obj)
        text = _TIME.sub("TIME", json.dumps(found, sort_keys=True))
        for identifier in self.incidents:
            text = text.replace(identifier, "INCIDENT").replace(identifier.rsplit("-", 1)[-1], "SHORT")
        document: Obj = json.loads(text)
        return document

    def changed(self) -> list[Obj]:
        """The requests that changed the cluster, as its audit log has them."""
        verbs = ("create", "update", "patch", "delete")
        return [e for e in self.box.audit if e["verb"] in verbs and not dry(e) and not review(e) and e["responseStatus"]["code"] < 300]

    def restored(self, before: Obj) -> list[str]:
        """What differs from before a containment that was lifted with the pod returned. Pods that ended have successors."""
        own = re.compile(r"(Pod|EndpointSlice) .*/backend-")
        then, now = ({k: v for k, v in world.items() if not own.match(k)} for world in (before, self.final()))
        return differences(now, then) + differences(len(self.backends()), len(self.pods), ".pods")

    def lawful(self) -> None:
        """Each change was made once; the policy before the labels; what every pod had logged was read before the workload stopped."""
        assert [what(e) for e in self.changed()] == WRITES
        stop = self.box.audit.index(self.changed()[-1])
        read = {e["objectRef"]["name"] for e in self.box.audit[:stop] if what(e) == "get pods/log" and e["stage"] == "ResponseComplete"}
        assert read >= set(self.pods), "a pod ended before its log was read"

    def bag(self) -> set[str]:
        """The payload of the only bag, which every reader accepts."""
        bags = self.directory / "bags"
        assert [p.name for p in bags.iterdir()] == ["1"], "one collection is one bag, and nothing is left beside it"
        self.irkit.run("bundle", "verify", str(bags / "1")).ended(0)
        bagit.Bag(str(bags / "1")).validate()
        assert [Path(b.path).name for b in self.state.bags] == ["1"], "the journal knows the bag, once"
        assert not self.state.bags[0].gaps, self.state.bags[0].gaps
        files = (p.relative_to(bags / "1" / "data").as_posix() for p in (bags / "1" / "data").rglob("*") if p.is_file())
        # each run keeps what it saw, and the journal as it was when it began to seal
        return {re.sub(r"^before/.*", "before/RUN", re.sub(r"^journal\.jsonl\..*", "journal.jsonl", name)) for name in files}

    def logs(self) -> dict[str, str]:
        """What the bag has of every pod's current log, by pod, without its times."""
        root = self.directory / "bags" / "1" / "data" / "pods" / self.box.suspect[0]
        return {pod: _TIME.sub("TIME", (root / pod / "backend" / "current.log").read_text(errors="surrogateescape")) for pod in self.pods}


@dataclass(frozen=True)
class Undisturbed:
    """How a run ends that nobody disturbs. ``requests`` are how many it makes, ``lines`` how long its journal is."""

    final: Obj
    bag: set[str]
    logs: Mapping[str, str]
    requests: int
    lines: int


@contextmanager
def world(tmp_path: Path, name: str = "world") -> Iterator[World]:
    """A fresh one; the same objects with the same names each time."""
    work = tmp_path / name
    with Sandbox(home=work / "box") as box, Proxy(box.kubeconfig) as proxy:
        yield World(box, proxy, Irkit(proxy.kubeconfig, work / "home"))


def undisturbed(tmp_path: Path) -> Undisturbed:
    """Contain once, with nothing in the way."""
    with world(tmp_path, "undisturbed") as calm:
        calm.irkit.run(*calm.contain).ended(0)
        requests = len(calm.proxy.requests)
        calm.lawful()
        lines = len(journal.read(calm.home.journal(calm.incident)).lines)
        return Undisturbed(calm.final(), calm.bag(), calm.logs(), requests, lines)


def differences(found: Any, wanted: Any, where: str = "") -> list[str]:
    """Where two documents are not the same, and how."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        return [line for k in sorted(found.keys() | wanted.keys()) for line in differences(found.get(k), wanted.get(k), f"{where}.{k}")]
    return [] if found == wanted else [f"{where[1:]}: {found!r}, not {wanted!r}"[:600]]


def as_undisturbed(world: World, calm: Undisturbed) -> None:
    """Whatever happened on the way: the same cluster, the same evidence, and all laws kept."""
    world.lawful()
    assert not differences(world.final(), calm.final)
    bag = world.bag()
    assert not bag ^ calm.bag, sorted(bag ^ calm.bag)
    assert world.logs() == calm.logs, "the log of a pod is not the same"


def hasty(folder: Path, timeout: str) -> str:
    """A directory with the procedure, none of whose steps waits longer than this."""
    folder.mkdir(exist_ok=True)
    shutil.copy(library.builtin("runbooks") / "compromised-pod.md", folder)
    playbook = yaml.safe_load((library.builtin() / "compromised-pod.yaml").read_text())
    for step in (step for phase in playbook["phases"].values() for step in phase):
        step["timeout"] = timeout
    (folder / "compromised-pod.yaml").write_text(yaml.safe_dump(playbook, sort_keys=False))
    return str(folder)


def nth_write(number: int) -> Match:
    """The write of that number, counted from 0."""
    count = -1

    def hit(request: Request) -> bool:
        nonlocal count
        count += writes(request)
        return count == number and writes(request)

    return hit


def killed_at(world: World, line: int, *words: str) -> bool:
    """Kill it once its journal has so many lines; whether it was killed before it ended."""
    process = world.begin(*words)
    for _ in until(30):
        written = sum(world.home.journal(i).read_bytes().count(b"\n") for i in world.incidents)
        if written >= line or process.poll() is not None:
            break
    process.kill()
    return finish(process).code == -9


def go_on(world: World, *words: str) -> Answer:
    """What a person does after a crash: resume, or the same command again where there is nothing to resume yet."""
    return world.irkit.run(*(words or (("resume", "--yes") if world.incidents else world.contain))).ended(0)


def until(seconds: float) -> Iterator[None]:
    """Turns of a loop that looks at something, for at most so long. Raises AssertionError after that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(0.002)
    raise AssertionError(f"it did not happen within {seconds} s")


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _steady(v) for k, v in value.items() if k not in _VOLATILE}
    return [_steady(v) for v in value] if isinstance(value, list) else value
