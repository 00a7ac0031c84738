"""`irkit serve` within a test: the real server on a loopback port, real rules, and a queue on disk."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import io
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from irkit.adapters.httpd import Httpd
from irkit.adapters.orderfiles import OrderFiles
from irkit.listeners.log import Log
from irkit.listeners.web.desk import Desk
from irkit.listeners.web.door import Door, plain
from irkit.listeners.web.metrics import Metrics
from irkit.listeners.web.ordering import Clerk
from irkit.listeners.web.rules import loader
from irkit.listeners.web.seen import Seen
from irkit.model.http import Bounds
from irkit.model.order import Held
from irkit.ports import Clock, ClusterReader
from irkit.ports.orders import Orders
from irkit.settings import Settings, load
from tests.clocks import StepClock

UID = "0c5f0f4e-cluster"
TOKEN = "a-token-that-nobody-guesses-0123456789"
RULES = """
apiVersion: irkit.dev/v1
kind: Rules
rules:
  - name: evidence
    match: {severity: high}
    run: {command: collect}
"""


class NoCluster:
    """Whoever asks it, fails: these rules need no cluster."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the cluster was asked: {name}")


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.text)
        return found


def token_settings(**more: object) -> dict[str, Any]:
    return {"bearer": {"tokens": {"prod": hashlib.sha256(TOKEN.encode()).hexdigest()}}, **more}


def configured(home: Path, rules: str = RULES, sources: Mapping[str, object] | None = None, orders: Mapping[str, object] | None = None,
               **serve: object) -> Settings:  # fmt: skip
    """Settings as they are read from a file, with these rules."""
    file = home / "rules.yaml"
    file.write_text(rules)
    wanted = sources if sources is not None else {"am": token_settings(format="alertmanager")}
    config = home / "irkit.yaml"
    config.write_text(
        json.dumps(
            {
                "serve": {"sources": wanted, "rules": str(file), **{k.replace("_", "-"): v for k, v in serve.items()}},
                **({"orders": orders} if orders else {}),
            }
        )
    )
    return load({"IRKIT_CONFIG": str(config), "IRKIT_HOME": str(home / "home"), "HOME": str(home)})


@dataclass
class World:
    """What the door needs, without a server."""

    settings: Settings
    clock: Clock = field(default_factory=StepClock)
    cluster: ClusterReader = field(default_factory=NoCluster)
    orders: Orders | None = None
    log: io.StringIO = field(default_factory=io.StringIO)
    woken: int = 0

    def __post_init__(self) -> None:
        self.queue: Orders = self.orders or OrderFiles(self.settings.home / "orders", self.settings.orders.most_open)
        rules = loader.load(self.settings)
        self.seen = Seen(self.queue, self.clock)
        self.clerk = Clerk(self.queue, self.seen, self.cluster, lambda: UID, self.settings, self.clock, self._wake)
        self.desk = Desk(rules, self.clerk, self.clock)
        self.metrics = Metrics(tuple(self.settings.serve.sources), [r.name for r in rules if r.dry_run])
        pages = {"/metrics": lambda: plain(self.metrics.text(self.seen.last, leads=True))}
        self.door = Door(self.settings.serve, self.desk, self.metrics, self.clock, Log(self.clock, self.log), pages)

    def _wake(self) -> None:
        self.woken += 1

    @property
    def held(self) -> Sequence[Held]:
        return self.queue.list()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The audit log."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    def said(self, why: str) -> bool:
        """Whether the log has it, or gets it within two seconds: some lines are written after the other side was told."""
        until = time.monotonic() + 2.0
        while not (found := any(why in line.get("why", "") for line in self.lines)) and time.monotonic() < until:
            time.sleep(0.02)
        return found


@dataclass
class Server:
    """``world`` behind a real socket."""

    world: World
    port: int
    context: ssl.SSLContext | None = None  # of a client

    def connect(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), 20)
        return self.context.wrap_socket(sock, server_hostname="127.0.0.1") if self.context else sock

    def ask(self, method: str, path: str, body: bytes | str = b"", headers: Mapping[str, str] | None = None) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.sock = self.connect()
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read().decode())

    def post(self, source: str, document: object, headers: Mapping[str, str] | None = None) -> Reply:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.ask("POST", f"/hooks/{source}", body, {"Authorization": f"Bearer {TOKEN}"} if headers is None else headers)

    def raw(self, *pieces: bytes, pause: Callable[[], object] = lambda: None) -> bytes:
        """What comes back for these bytes, to the end of the connection."""
        with self.connect() as sock:
            for piece in pieces:
                with contextlib.suppress(ConnectionError):
                    sock.sendall(piece)
                pause()
            found = b""
            with contextlib.suppress(ConnectionError):
                while piece := sock.recv(65536):
                    found += piece
            return found


@contextlib.contextmanager
def serving(world: World, bounds: Bounds | None = None, tls: ssl.SSLContext | None = None, client: ssl.SSLContext | None = None) -> Iterator[Server]:
    """The server in a thread of its own, for the time of a block."""
    serve = world.settings.serve
    server = Httpd("127.0.0.1", 0, world.door, bounds or Bounds(head=serve.head, body=serve.body, farewell=2.0), tls)
    port = server.open()[1]
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    begun = threading.Event()

    async def main() -> None:
        over = asyncio.Event()
        loops.append((asyncio.get_running_loop(), over))
        begun.set()
        await server.serve(over)

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert begun.wait(10)
    try:
        yield Server(world, port, client)
    finally:
        loop, over = loops[0]
        loop.call_soon_threadsafe(over.set)
        thread.join(20)
        world.desk.close()
        assert not thread.is_alive()


def firing(
    pod: str = "backend-7c7c86686d-7l8d8", namespace: str = "todo-app", name: str = "ShellInContainer", severity: str = "critical", **more: str
) -> Any:
    """A message of Alertmanager with one alert."""
    labels = {"alertname": name, "severity": severity, "namespace": namespace, "pod": pod, **more}
    return {"version": "4", "status": "firing", "receiver": "irkit", "groupKey": "{}:{}", "truncatedAlerts": 0, "alerts": [
        {"status": "firing", "labels": labels, "annotations": {"summary": f"{name} in {pod}"}, "startsAt": "2026-11-22T03:00:00Z",
         "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://prometheus/graph", "fingerprint": "1a30ba71cca2921f"}]}  # fmt: skip
