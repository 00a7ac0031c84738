"""The rehearsal cluster with its Vault, both behind one fault proxy; and what must hold of credentials, at every instant and at the end."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bagit
import yaml

from irkit.engine import journal
from irkit.sandbox import Sandbox
from tests.controlplane.cluster import kubeconfig
from tests.crash.world import Obj, World, hasty
from tests.e2e.running import Answer, Irkit
from tests.e2e.talking import Talk
from tests.faults.harm import writes
from tests.faults.proxy import Proxy

ENTRY, VENDORS = "prod/todo-app", "GROQ_API_KEY"
SIBLING = {"FEATURE_FLAGS": "beta,dark-mode"}  # in the same entry, and nobody's to change
_OWN = re.compile(r"(Pod|ReplicaSet|ControllerRevision|EndpointSlice) ")


@dataclass
class App(World):
    """``old`` and ``began``: all values, and the store's version, before the first run."""

    key: Path
    old: dict[str, dict[str, str]] = field(init=False)
    began: int = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.box.vault.write(f"secret/data/{ENTRY}", {"data": {**self.entry(), **SIBLING}})
        self.old, self.began = self.secrets(), self.box.store.version
        self.key.write_text("gsk_what-the-vendor-issued\n")

    # the words of commands

    @property
    def given(self) -> tuple[str, ...]:
        return "--yes", "--value", f"backend-secret/{VENDORS}={self.key}"

    @property
    def rotate(self) -> tuple[str, ...]:
        namespace, pod = self.box.suspect
        return "rotate", pod, "-n", namespace, *self.given

    @property
    def chain(self) -> tuple[str, ...]:
        """All phases."""
        namespace, pod = self.box.suspect
        return "respond", "compromised-pod", pod, "-n", namespace, "-p", f"image={self.box.scenario.images['patched']}", *self.given

    def ended(self, *words: str, timeout: float = 120) -> Answer:
        """With a person beside it, who says what only people know."""
        run = Talk(self.irkit, *words)
        self.proxy.victim = run.process.pid
        return run.end(timeout)

    def go_on(self, *words: str) -> Obj:
        """What a person does after a crash: resume, or the same command again where there is nothing to resume yet."""
        return self.ended(*(("resume", *self.given) if self.incidents else words)).ended(0).document

    def impatient(self) -> Irkit:
        """Who waits for nothing longer than a moment."""
        settings = yaml.safe_load(Path(self.irkit.environment["IRKIT_CONFIG"]).read_text())
        hurried = {"retry-budget": 0.3, "request-timeout": 2.0, "playbooks": hasty(self.key.with_name("playbooks"), "5s")}
        return self.irkit.configured(self.key.with_name("impatient.yaml"), **settings, **hurried)

    # what is kept where

    def secrets(self) -> dict[str, dict[str, str]]:
        """The values of all Secrets of the app's namespace."""
        found = [o for s, o in self.box.store.everything() if s.resource.kind == "Secret" and o["metadata"]["namespace"] == self.box.suspect[0]]
        return {o["metadata"]["name"]: _values(o) for o in found}

    def entry(self) -> dict[str, str]:
        found: dict[str, str] = self.box.vault.read(f"secret/data/{ENTRY}")["data"]
        return found

    def metadata(self) -> Obj:
        return self.box.vault.read(f"secret/metadata/{ENTRY}")

    def readable(self) -> list[int]:
        """The versions of the entry that can still be read."""
        return [int(n) for n, v in self.metadata()["versions"].items() if not (v["destroyed"] or v["deletion_time"])]

    @property
    def password(self) -> str:
        """Of the app's login, as Vault says."""
        return str(self.box.vault.read("database/static-creds/app")["password"])

    def stale(self) -> list[str]:
        """The app's pods that run with another value than the Secrets hold now. The suspect, cut off, holds what it held."""
        now: dict[str, Obj] = {name: dict(values) for name, values in self.old.items()}
        got: dict[str, Obj] = {}  # by uid of each pod that was started since: what the Secrets held then
        for written in self.box.store.since(self.began):
            meta = written.object["metadata"]
            if meta.get("namespace") != self.box.suspect[0]:
                continue
            if written.served.resource.kind == "Secret" and written.type != "DELETED":
                now[meta["name"]] = _values(written.object)
            elif written.served.resource.kind == "Pod" and written.type == "ADDED":
                got[meta["uid"]] = {name: dict(values) for name, values in now.items()}
        held = {p["metadata"]["name"]: (_used(p), got.get(p["metadata"]["uid"], self.old)) for p in self.living()}
        return [
            f"{pod}: {name}/{key}" for pod, (used, got_then) in sorted(held.items()) for name, key in used if got_then[name][key] != now[name][key]
        ]

    def living(self) -> list[Obj]:
        """The pods of the app's namespace, but the suspect once it is cut off."""
        pods = [o for s, o in self.box.store.everything() if s.resource.kind == "Pod" and o["metadata"].get("namespace") == self.box.suspect[0]]
        return [p for p in pods if "quarantine" not in p["metadata"]["labels"] and "deletionTimestamp" not in p["metadata"]]

    # what must hold

    def not_locked_out(self) -> None:
        """At whatever instant: a pod that starts gets each value, and each was or will be right; somebody knows the login's password."""
        assert self.box.settle(), "the controllers did not come to rest"
        found, entry, old = self.secrets(), self.entry(), self.old
        assert self.box.database.accepts("app", self.password), "Vault knows the password"
        assert found["postgres-secret"]["APP_PASSWORD"] in (old["postgres-secret"]["APP_PASSWORD"], self.password)
        assert found["postgres-secret"]["POSTGRES_PASSWORD"] == old["postgres-secret"]["POSTGRES_PASSWORD"], "nobody asked for that"
        assert self.box.database.accepts("postgres", old["postgres-secret"]["POSTGRES_PASSWORD"])
        assert {k for k, v in found["backend-secret"].items() if v not in (old["backend-secret"][k], entry[k])} == set()
        assert entry[VENDORS] in (old["backend-secret"][VENDORS], self.key.read_text().strip())
        assert entry.items() >= SIBLING.items()
        assert found["mcp-secret"]["MCP_TOKEN"]
        if min(self.readable()) > 2:  # that had the old values
            assert [line for line in self.stale() if "backend-secret" in line] == [], "old values are ended while pods run with them"

    def rotated(self, document: Obj) -> None:
        """In the end: all that the pod could reach has a new value, in force everywhere, and the old ones are gone."""
        assert self.box.settle(), "the controllers did not come to rest"
        self.not_locked_out()
        found, old = self.secrets(), self.old
        assert found["backend-secret"][VENDORS] == self.key.read_text().strip()
        assert self.entry() == {**found["backend-secret"], **SIBLING}, "the entry: what is delivered, its sibling, and nothing pending"
        assert self.readable() == [self.metadata()["current_version"]], "older versions are destroyed"
        assert self.metadata()["custom_metadata"]["irkit-incident"] == self.incident
        assert found["postgres-secret"]["APP_PASSWORD"] == self.password
        assert not self.box.database.accepts("app", old["postgres-secret"]["APP_PASSWORD"])
        kept = {(name, key) for name in old for key, value in old[name].items() if found[name].get(key) == value}
        assert kept & {(n, k) for n in ("backend-secret", "mcp-secret") for k in old[n]} == set(), "some are what they were"
        assert [name for name in found if name.startswith("irkit-")] == [], "nothing pending is left"
        assert self.stale() == []
        assert {c["outcome"] for c in document["credentials"]} == {"rotated"}, document["credentials"]
        assert all(c["consumers"]["restarted"] == c["consumers"]["total"] for c in document["credentials"])

    def collected(self, document: Obj) -> None:
        """Every bag is whole, and of each pod that ended there is the log in one of them."""
        bags = [Path(b) for b in document["evidence"]["bundles"]]
        for bag in bags:
            bagit.Bag(str(bag)).validate()
        ended = [w.object for w in self.box.store.since(self.began) if w.type == "DELETED" and w.served.resource.kind == "Pod"]
        logs = {path.parts[-3] for bag in bags for path in (bag / "data" / "pods").glob("*/*/*/current.log")}
        assert {p["metadata"]["name"] for p in ended} - logs == set(), "pods that ended before their logs were stored"

    def end(self, document: Obj) -> Obj:
        """How it ended, without what differs between two runs: the cluster, and what the run says of it."""
        found = self.final()
        pods = Counter(f"{p['metadata']['labels'].get('app')} {p['spec']['containers'][0]['image']} {p['status']['phase']}" for p in self.living())
        return {
            "objects": {k: _steady(v) for k, v in found.items() if not _OWN.match(k)}, "pods": dict(pods),
            "suspect": found.get("Pod {}/{}".format(*self.box.suspect), {}).get("metadata", {}).get("labels"),
            "steps": {s["id"]: s["outcome"] if s["outcome"] != "unchanged" else "done" for s in document["steps"]},
            "credentials": {f"{c['name']} {c['class']}": [c["outcome"], _proof(c), c["left"]] for c in document["credentials"]},
            "missing": document["evidence"]["missing"],
        }  # fmt: skip


@dataclass(frozen=True)
class Calm:
    """How a run ends that nobody disturbs; how many requests it makes, how many of them write, and how long its journal is."""

    end: Obj
    requests: int
    writes: int
    lines: int


@contextmanager
def app(tmp_path: Path, name: str = "world") -> Iterator[App]:
    """A fresh one; the same objects with the same names each time."""
    work = tmp_path / name
    with Sandbox(home=work / "box") as box:
        vault = work / "vault.kubeconfig"
        kubeconfig(vault, box.vault_url, box.vault_ca, {"token": "passed on"})
        with Proxy(box.kubeconfig, vault=vault) as proxy:
            settings = yaml.safe_load(box.config.read_text())
            settings["vault"] |= {"address": proxy.url, "ca-cert": str(proxy.ca)}
            irkit = Irkit(proxy.kubeconfig, work / "home").configured(work / "config.yaml", **settings)
            yield App(box, proxy, irkit, work / "from-the-vendor")


def undisturbed(tmp_path: Path, command: str) -> Calm:
    """Once with nothing in the way. ``command``: rotate or chain."""
    with app(tmp_path, "undisturbed") as calm:
        document = calm.ended(*getattr(calm, command)).ended(0).document
        calm.rotated(document)
        requests = list(calm.proxy.requests)
        return Calm(calm.end(document), len(requests), sum(map(writes, requests)), len(journal.read(calm.home.journal(calm.incident)).lines))


def _values(secret: Obj) -> dict[str, str]:
    return {k: base64.b64decode(v).decode() for k, v in (secret.get("data") or {}).items()}


def _proof(credential: Obj) -> str:
    """A token to try afterwards lives in the process that made it; with the process ends what could have been proven."""
    old: str = credential["oldValue"]
    return "not alive" if credential["class"] == "token" and old in ("dead", "untested") else old


def _used(pod: Obj) -> list[tuple[str, str]]:
    """Secret and key of each variable that a pod takes from one."""
    refs = [e["valueFrom"]["secretKeyRef"] for c in pod["spec"]["containers"] for e in c.get("env") or () if "secretKeyRef" in e.get("valueFrom", {})]
    return [(r["name"], r["key"]) for r in refs]


def _steady(obj: Obj) -> Any:
    """Without values, and without what counts how often something was tried."""
    text = json.dumps({k: v for k, v in obj.items() if k != "data"} if obj["kind"] == "Secret" else obj, sort_keys=True)
    text = re.sub(r'("(?:force-sync|syncedResourceVersion|\w+Revision|[a-z./-]+/(?:revision|data-hash))": )"[^"]*"', r'\1"…"', text)
    return json.loads(re.sub(r'ReplicaSet \\"[^"]*\\"', "ReplicaSet …", text))
