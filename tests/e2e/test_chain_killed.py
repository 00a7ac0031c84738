"""The whole procedure, killed at seeded instants between its requests to Kubernetes and to OpenBao: resumed, it ends as if nothing had been."""

from __future__ import annotations

import contextlib
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import bagit
import pytest

from irkit.engine.home import Home
from tests.components.openbao import OpenBao
from tests.components.postgres import Postgres
from tests.controlplane.cluster import kubeconfig
from tests.controlplane.plugin import fresh_namespace
from tests.controlplane.running import Running
from tests.e2e import todo
from tests.e2e.running import Irkit
from tests.e2e.talking import Talk
from tests.e2e.todo import Todo
from tests.e2e.world import name_of
from tests.faults.harm import Kill, Match, Request, after, anything, before, writes
from tests.faults.proxy import Proxy

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]
SERVERS = ("kubernetes", "vault")
DICE = random.Random(20261122)
INSTANTS = [
    (kept, server, kind, round(DICE.random() * 0.96, 3), DICE.choice(("before", "after")))
    for kept, server, kind, times in (("vault", "kubernetes", "any", 4), ("secret", "kubernetes", "write", 3), ("vault", "vault", "any", 2),
                                      ("vault", "vault", "write", 3))
    for _ in range(times)
]  # fmt: skip
"""Twelve: where the password is kept, of whose requests, of which, how far on among them, and whether the server had got it. Those to the
password's store have every step of its way between them: kept as pending, learnt by the database, promoted."""
KINDS = {"any": anything, "write": writes}


@dataclass(frozen=True)
class Between:
    """irkit, with a proxy before each server."""

    irkit: Irkit
    proxies: dict[str, Proxy]

    def count(self, server: str, kind: str) -> int:
        return sum(map(KINDS[kind], self.proxies[server].requests))


@contextlib.contextmanager
def between(app: Todo, oncall: Irkit, directory: Path) -> Iterator[Between]:
    upstream = directory / "vault.kubeconfig"
    kubeconfig(upstream, app.bao.address, app.plane.ca, {"token": "passed on"})
    with Proxy(app.plane.token_kubeconfig) as kubernetes, Proxy(upstream) as vault:
        there = {**oncall.environment, "VAULT_ADDR": vault.url, "VAULT_CACERT": str(vault.ca)}
        yield Between(replace(oncall.using(kubernetes.kubeconfig), environment=there), {"kubernetes": kubernetes, "vault": vault})


@pytest.fixture(scope="module")
def calm(
    control_plane: Running, external_secrets: Path, openbao: OpenBao, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], int]:
    """How many requests a run makes that nobody disturbs, of each server and kind."""
    directory = tmp_path_factory.mktemp("calm")
    irkit = Irkit(control_plane.admin_kubeconfig, directory / "home")
    with contextlib.ExitStack() as stack:
        namespace = stack.enter_context(fresh_namespace(control_plane, "calm"))
        app = stack.enter_context(todo.deployed(control_plane, namespace, openbao, postgres))
        there = stack.enter_context(between(app, app.known_to(irkit, directory), directory))
        Talk(there.irkit, *app.chain(app.suspect, todo.vendors_key(directory)[1])).end().ended(0)
        return {(server, kind): there.count(server, kind) for server in SERVERS for kind in KINDS}


def nth(kind: str, number: int) -> Match:
    count = -1

    def hit(request: Request) -> bool:
        nonlocal count
        count += KINDS[kind](request)
        return KINDS[kind](request) and count == number

    return hit


@pytest.mark.parametrize(("app", "server", "kind", "share", "when"), INSTANTS, indirect=["app"])
def test_killed_and_resumed(
    app: Todo, oncall: Irkit, vendors: tuple[str, str], calm: dict[tuple[str, str], int], tmp_path: Path,
    server: str, kind: str, share: float, when: str,
) -> None:  # fmt: skip
    suspect = app.pods()[0]
    words = app.chain(name_of(suspect), vendors[1])
    mark = app.plane.mark()
    with between(app, oncall, tmp_path) as there, todo.Watch(app):
        proxy = there.proxies[server]
        proxy.when(nth(kind, int(share * calm[server, kind])), {"before": before, "after": after}[when](Kill()), times=1)
        run = Talk(there.irkit, *words)
        proxy.victim = run.process.pid
        assert run.end().code == -signal.SIGKILL, "there were fewer requests than that"
        assert not app.locked_out()
        held, entry = app.secret("backend-secret"), app.entry()
        assert all(held[key] in (app.old[key], entry[key]) for key in todo.CLASSES), "what a new pod gets is old or new"
        home = Home(there.irkit.home)
        again = ("resume", "--yes", "--value", vendors[1]) if home.ids() else words
        done = Talk(there.irkit, *again).end().ended(0).document
    (incident,) = home.ids()
    assert done["incident"] == incident
    assert {s["id"]: s["outcome"] for s in done["steps"] if s["outcome"] not in ("done", "unchanged")} == {}
    todo.rotated(app, vendors[0])
    todo.recovered(app, suspect, incident)
    todo.started_since(app, app.plane.audit(mark))
    assert {c["oldValue"] for c in done["credentials"]} == {"dead", "untested"}
    for bundle in done["evidence"]["bundles"]:
        bagit.Bag(bundle).validate()
    oncall.run("verify", incident).ended(0)
