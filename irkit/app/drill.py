"""Runbook drills: what a page has people do on a cluster, and which of its playbook's end states hold after it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, takewhile
from typing import Any

import msgspec

from irkit.engine.parameters import seconds
from irkit.game import runbook
from irkit.game.goals.alive import Alive
from irkit.game.goals.base import Seen, State
from irkit.game.goals.collected import Collected
from irkit.game.goals.cordoned import Cordoned
from irkit.game.goals.dead import Dead
from irkit.game.goals.isolated import Isolated
from irkit.game.goals.recovered import Recovered
from irkit.game.goals.rotated import Rotated
from irkit.game.goals.stopped import Stopped
from irkit.game.runbook import Block, Part
from irkit.game.view import View
from irkit.model.kube import NETWORKPOLICIES, SECRETS, Obj, ObjectRef, Value, at
from irkit.model.plan import StepSpec
from irkit.model.playbook import Playbook
from irkit.model.scenario import Scenario, World
from irkit.network.verdict import judge

USUAL = frozenset({"redeploy", "restart", "undo"})
"""Tags of blocks that belong to the way: bring a workload back, with what is new. ``undo`` is on it only where a step says to do that."""
_PROGRAMS = re.compile(r"^\s*(bao|vault|psql|openssl)\b", re.MULTILINE)
_CHECKS: Mapping[str, State] = {"isolated": Isolated(), "alive": Alive(), "stopped": Stopped()}


class Key(Value, frozen=True):
    """One key of a Secret that the suspect was given. ``external``: where its value comes from, by the names that the pages use for it."""

    secret: str
    key: str
    kind: str = ""  # as annotated: generated, issuer-made, database, manual
    external: dict[str, str] = {}


class Task(msgspec.Struct, frozen=True):
    """A block to do. ``script``: with all that is to be edited in it; ``why``: it is not part of the way, or can't be done here."""

    block: Block
    script: str
    why: str = ""


def scenario(playbook: Playbook) -> Scenario:
    """A world to drill in: the app of the rehearsals, and nobody who attacks while people read."""
    day = seconds("24h") or 0.0
    return Scenario(name=playbook.name, title=playbook.title, difficulty=1, playbooks=(playbook.name,), world=World(), alert="", goals=(), lasts=day)


class Drill:
    """One page on one cluster.

    Args:
        page: name of the runbook.
        read: the text of a page by its name; empty where there is none.
        path: where programs are sought; without one, as always.
        only: the key of a database that all this is about; without it, all that the suspect was given.
    """

    def __init__(self, playbook: Playbook, page: str, read: Callable[[str], str], view: View, path: str | None = None, only: Key | None = None
                 ) -> None:  # fmt: skip
        self.playbook, self.view = playbook, view
        self._page, self._read, self._path = page, read, path
        self.keys = (only,) if only else tuple(keys(view))
        self._databases = only is not None or any(s.step == "rotate" and "database" in s.arguments.get("classes", ()) for s in playbook.steps)
        self.names = self._names()

    def parts(self) -> Iterator[Part]:
        yield from runbook.parts(self._read(self._page), self._page)

    def tasks(self, part: Part) -> Iterator[Task]:
        """The blocks of a part, in order; a part about one key comes once for each key, one about a leak once for each leak there is then."""
        yield from self.grouped(runbook.todo(part, self._read))

    def grouped(self, todo: Iterable[Block]) -> Iterator[Task]:
        """`tasks` of any blocks."""
        for page, group in groupby(todo, key=lambda block: block.page):
            blocks = list(group)
            first = self._names_of(page) if page != self._page else {}
            if any("$KEY" in block.script for block in blocks):
                for number, key in enumerate(keys := self._keys(), 1):
                    yield from self._key(blocks, key, first, last=number == len(keys))
            else:
                for block in blocks:
                    yield from self._task(block, first)

    def states(self, id: str) -> Sequence[State]:
        """The end states of the playbook's step of that id, as far as anybody can see them in the cluster."""
        return [state for step in self.playbook.steps if step.id == id for state in self._states(step)]

    def check(self, id: str = "") -> list[tuple[State, Seen]]:
        """How they stand now; without an id, those of the whole playbook."""
        found: dict[State, Seen] = {}
        for step in self.playbook.steps:
            for state in self._states(step) if id in ("", step.id) else ():
                found.setdefault(state, state.look(self.view))
        return list(found.items())

    def _names(self) -> dict[str, str]:
        """What stands for the names that pages have people edit."""
        cast = self.view.cast
        kind = self.playbook.target.type if self.playbook.target else ""
        secret = next((k.secret for k in self.keys if (k.kind == "database") == self._databases), "")
        workload = cast.names()["workload"]
        names = {"NS": cast.suspect.namespace, "POD": cast.suspect.name, "NODE": cast.node, "ACCOUNT": cast.account, "IMAGE": cast.image,
                 "WORKLOAD": workload,
                 "RESTART": workload, **({"SECRET": secret} if kind == "secret" or len(self.keys) == 1 else {})}  # fmt: skip
        return {name: value for name, value in names.items() if value}

    def _keys(self) -> Sequence[Key]:
        """The keys that the target is about."""
        own = self.names.get("SECRET")
        return [k for k in self.keys if k.secret == own] if own else self.keys

    def _names_of(self, page: str) -> dict[str, str]:
        """What the reader of another page would have edited there first."""
        line = runbook.NAMES.search(self._read(page))
        return {name: self.names[name] for name in (runbook.asks(line[0]) if line else ()) if name in self.names}

    def _key(self, blocks: Sequence[Block], key: Key, first: Mapping[str, str], *, last: bool) -> Iterator[Task]:
        names = {**self.names, **first, "SECRET": key.secret, "KEY": key.key, **key.external}
        if key.kind == "database" and not self._databases:  # the page itself says that this key has a page of its own
            yield from (Task(b, runbook.edited(b.script, names)) for b in takewhile(lambda b: "KEY" not in runbook.asks(b.script), blocks))
            yield from self._elsewhere(key)
            return
        tags = USUAL | {"vault" if key.external else "generated"}
        head = "".join(f"export {name}={names[name]}\n" for name in dict.fromkeys((*first, "SECRET", "KEY")))
        for number, block in enumerate(blocks):
            why = "once, after the last key" if "restart" in block.tags and not last else self._why(block, tags)
            yield Task(block, ("" if number else head) + runbook.edited(block.script, names), why)

    def _elsewhere(self, key: Key) -> Iterator[Task]:
        """Rotating a database's login, as its own page has it."""
        page = "database-credentials.md"
        there = runbook.section(self._read(page), page, "rotate-it")
        if there is None:
            return
        other = Drill(self.playbook, self._page, self._read, self.view, self._path, only=key)
        yield from other.grouped(runbook.todo(Part(section=there), self._read))

    def _task(self, block: Block, first: Mapping[str, str]) -> Iterator[Task]:
        if "leak" in block.tags and (leaks := self._leaks()):
            yield from (Task(block, runbook.edited(block.script, {**self.names, "LEAK": leak})) for leak in leaks)
            return
        tags = USUAL | ({"vault-database"} if self._databases else frozenset())
        head = "".join(f"export {name}={value}\n" for name, value in first.items() if name not in runbook.asks(block.script))
        yield Task(block, head + runbook.edited(block.script, self.names), self._why(block, tags))

    def _why(self, block: Block, tags: frozenset[str]) -> str:
        if block.tags and not tags & set(block.tags):
            return f"only where: {' '.join(block.tags)}"
        missing = sorted({name for name in _PROGRAMS.findall(block.script) if shutil.which(name, path=self._path) is None})
        return f"needs {', '.join(missing)}, which is not on your PATH" if missing else ""

    def _leaks(self) -> list[str]:
        suspect = self.view.cast.suspect
        pod = self.view.stage.find(suspect)
        leaks = judge(pod, self.view.stage.objects(NETWORKPOLICIES, suspect.namespace)) if pod else ()
        return list(dict.fromkeys(leak.policy.rpartition("/")[2] for leak in leaks if leak.policy is not None))

    def _states(self, step: StepSpec) -> Iterator[State]:
        given = step.arguments
        match step.step:
            case "quarantine" | "quarantine-pods":
                yield from (Isolated(), Alive())
            case "collect":
                if tuple(given.get("take", ())) != ("credentials",):
                    yield Collected("suspect" if self.playbook.target and self.playbook.target.type == "node" else "all")
            case "scale-down":
                yield Stopped()
            case "cordon":
                yield Cordoned()
            case "redeploy":
                yield Recovered()
            case "rotate":
                yield from self._rotated(given)
            case "verify":
                yield from (_CHECKS[name] for name in given.get("checks", ()) if name in _CHECKS)

    def _rotated(self, given: Mapping[str, Any]) -> Iterator[State]:
        classes, cast = given.get("classes", ()), self.view.cast
        if "token" in classes or "serviceaccount" in given.get("include", ()):
            yield Dead(account=f"{cast.suspect.namespace}/{cast.account}")
        wanted = [k for k in self._keys() if not classes or k.kind in classes]
        for secret in dict.fromkeys(k.secret for k in wanted):
            yield Rotated(secret=f"{cast.suspect.namespace}/{secret}", keys=tuple(k.key for k in wanted if k.secret == secret))


def keys(view: View) -> Iterator[Key]:
    """The keys of Secrets that the suspect was given, with what is known of where they come from."""
    pod, namespace = view.stage.find(view.cast.suspect), view.cast.suspect.namespace
    resource = view.stage.kinds().get("ExternalSecret")
    external = {at(e, ("spec", "target", "name"), e["metadata"]["name"]): e for e in (view.stage.objects(resource, namespace) if resource else ())}
    for secret, given in _given(pod or {}).items():
        obj = view.stage.find(ObjectRef(resource=SECRETS, name=secret, namespace=namespace))
        source = external.get(secret)
        kinds = {**_marks(obj or {}), **_marks(source or {})}
        for key in sorted(given or (at(obj or {}, ("data",), None) or {})):
            yield Key(secret=secret, key=key, kind=kinds.get(key, kinds.get("", "")), external=_entry(view, source, key) if source else {})


def _given(pod: Obj) -> dict[str, set[str]]:
    """Names of Secrets with their keys; none: all."""
    found: dict[str, set[str]] = {}
    spec = pod.get("spec") or {}
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        for env in container.get("env") or ():
            if ref := at(env, ("valueFrom", "secretKeyRef")):
                found.setdefault(ref["name"], set()).add(ref["key"])
        found.update({ref["name"]: set() for e in container.get("envFrom") or () if (ref := e.get("secretRef"))})
    found.update({name: set() for volume in spec.get("volumes") or () if (name := at(volume, ("secret", "secretName")))})
    return found


def _marks(obj: Obj) -> dict[str, str]:
    """The classes that the annotation names, by key; by an empty one: of all."""
    text = at(obj, ("metadata", "annotations", "irkit.dev/rotation"), "")
    try:
        found = json.loads(text) if text.startswith("{") else {"": text} if text else {}
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in found.items()}


def _entry(view: View, external: Obj, key: str) -> dict[str, str]:
    """Where an ExternalSecret has a key from, by the names of the pages."""
    ref = next((d["remoteRef"] for d in at(external, ("spec", "data"), ()) if d.get("secretKey") == key), None)
    store = at(external, ("spec", "secretStoreRef"), {})
    resource = view.stage.kinds().get(store.get("kind", "SecretStore"))
    if ref is None or resource is None:
        return {}
    where = external["metadata"]["namespace"] if resource.namespaced else ""
    found = view.stage.find(ObjectRef(resource=resource, name=store.get("name", ""), namespace=where))
    mount = at(found or {}, ("spec", "provider", "vault", "path"), "secret")
    return {"MOUNT": mount, "ENTRY": ref["key"], "PROPERTY": ref.get("property", key), "EXTERNAL": external["metadata"]["name"]}
