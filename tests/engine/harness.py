"""irkit's engine on a rehearsal cluster, in this process: the real adapter, the real store, an approver that answers by a script."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from irkit import settings, wiring
from irkit.adapters.clock import SystemClock
from irkit.adapters.kubernetes import connect
from irkit.adapters.outside import Outside
from irkit.adapters.outward import Lookout
from irkit.app.respond import Request
from irkit.engine import journal
from irkit.engine.home import Home
from irkit.engine.state import State
from irkit.model.changes import Change
from irkit.model.incident import Incident
from irkit.model.kube import Obj, ObjectRef, Resource
from irkit.ports import Cluster, Ports
from irkit.sandbox import Sandbox


@dataclass
class Script:
    """An approver. ``answers``: what it says to question n, yes beyond; ``before``: done before question n is answered."""

    answers: Sequence[bool] = ()
    before: dict[int, Callable[[], None]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    name: str = "script"
    interactive: bool = True

    def confirm(self, question: str, changes: Sequence[Change] = ()) -> bool:
        number = len(self.asked)
        self.asked.append(question)
        self.before.get(number, lambda: None)()
        return self.answers[number] if number < len(self.answers) else True

    def answer(self, instruction: str) -> str | None:
        self.asked.append(instruction)
        return "done as told"

    def secret(self, name: str, prompt: str) -> str | None:
        self.asked.append(name)
        return self.secrets.get(name)


class Told:
    """A notifier that keeps what it was given."""

    def __init__(self) -> None:
        self.messages: list[tuple[tuple[str, ...], str]] = []

    def send(self, to: Sequence[str], message: str, incident: Incident) -> str:
        self.messages.append((tuple(to), message))
        return "shown"


class Witness:
    """A Cluster that lets a test look at the world right before and right after each real write."""

    def __init__(self, cluster: Cluster, before: Callable[[str, Any], None], after: Callable[[str, Any], None]) -> None:
        self._cluster, self._before, self._after = cluster, before, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    def _write(self, verb: str, what: Any, dry_run: bool, do: Callable[[], Any]) -> Any:
        if dry_run:
            return do()
        self._before(verb, what)
        answer = do()
        self._after(verb, what)
        return answer

    def create(self, resource: Resource, obj: Obj, *, subresource: str = "", dry_run: bool = False) -> Obj:
        done: Obj = self._write("create", obj, dry_run, lambda: self._cluster.create(resource, obj, subresource=subresource, dry_run=dry_run))
        return done

    def patch(self, ref: ObjectRef, body: Obj, *, subresource: str = "", dry_run: bool = False) -> Obj:
        done: Obj = self._write("patch", ref, dry_run, lambda: self._cluster.patch(ref, body, subresource=subresource, dry_run=dry_run))
        return done

    def delete(self, ref: ObjectRef, *, dry_run: bool = False) -> None:
        self._write("delete", ref, dry_run, lambda: self._cluster.delete(ref, dry_run=dry_run))


@dataclass
class Bench:
    """One rehearsal cluster, one home, and ports over them."""

    box: Sandbox
    home: Path
    approver: Script
    notifier: Told
    ports: Ports
    events: list[object]

    def request(self, **changes: Any) -> Request:
        namespace, pod = self.box.suspect
        base = Request(command="contain", playbook="compromised-pod", phase="containment", target=pod, namespace=namespace)
        return msgspec.structs.replace(base, **changes)

    def state(self, number: int = 0) -> State:
        """The newest incident's state, or one before it."""
        home = Home(self.home)
        return home.load(home.ids()[number])

    def lines(self) -> Sequence[Any]:
        home = Home(self.home)
        return journal.read(home.journal(home.ids()[0])).lines

    def writes(self) -> list[Obj]:
        """Audit events of requests that changed something."""
        kinds = ("create", "update", "patch", "delete", "deletecollection")
        return [
            e
            for e in self.box.audit
            if e["verb"] in kinds and "dryRun" not in e["requestURI"] and "reviews" not in e.get("objectRef", {}).get("resource", "")
        ]


@contextmanager
def bench(tmp_path: Path, *, seed: int = 0, scenario: str = "todo-app", **set_: Any) -> Iterator[Bench]:
    """A rehearsal cluster that runs while the block does."""
    home, events = tmp_path / "home", []  # type: ignore[var-annotated]
    with Sandbox(scenario, seed, home=tmp_path / "box") as box:
        given = {**json.loads(box.config.read_bytes()), **set_}  # its Vault and databases
        configured = settings.load({"XDG_CONFIG_HOME": str(tmp_path)}, home=str(home), kubeconfig=str(box.kubeconfig), **given)
        cluster = connect(configured, {})
        approver, notifier = Script(), Told()
        ports = Ports(cluster=cluster, connection=cluster, clock=SystemClock(), approver=approver, notifier=notifier, settings=configured,
                      evidence=wiring.evidence(configured), vaults=Outside(configured), outward=Lookout(configured),
                      listen=events.append)  # fmt: skip
        try:
            yield Bench(box, home, approver, notifier, ports, events)
        finally:
            cluster.close()
