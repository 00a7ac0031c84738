"""A rehearsal cluster with a queue of orders, people who ask and decide, and processes that carry orders out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from irkit import settings, wiring
from irkit.adapters.children import Children
from irkit.app.orders import deciding, dispatch, queue
from irkit.engine.home import Home
from irkit.model.kube import NAMESPACES
from irkit.model.order import Command, Held, Order, Origin
from irkit.ports import Ports
from irkit.ports.orders import Orders
from irkit.sandbox import Sandbox
from irkit.settings import Settings
from tests.faults.proxy import Proxy

TEAM = "T1"
SLACK: dict[str, Any] = {
    "team": TEAM,
    "users": {"U1": ["oncall"], "U2": ["leads"], "U3": ["leads"]},
    "approvers": {"compromised-pod": ["leads"], "contain": ["leads"]},
}
ANN, BOB, CAT = (Origin(door="slack", sender=f"U{n}", shown=name, team=TEAM, channel="C1") for n, name in ((1, "ann"), (2, "bob"), (3, "cat")))
FALCO = Origin(door="webhook", sender="falco")


class Watched(Children):
    """Children that the proxy may kill: its victim is always the youngest."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__(())
        self._proxy = proxy
        self.begun: list[int] = []

    def start(self, held: Held) -> None:
        before = set(self._running)
        super().start(held)
        for key in set(self._running) - before:
            self.begun.append(self._running[key].pid)
            self._proxy.victim = self._running[key].pid


@dataclass
class Desk:
    box: Sandbox
    proxy: Proxy
    configured: Settings
    ports: Ports  # the administrator's, past the proxy
    runner: Watched
    queue: Orders = field(init=False)
    pulse: dispatch.Pulse = field(init=False)

    def __post_init__(self) -> None:
        self.pulse = dispatch.Pulse(self.ports.clock)
        self.queue = wiring.orders(self.configured, self.ports.cluster)

    @property
    def home(self) -> Home:
        return Home(self.configured.home)

    def order(self, command: Command = "contain", by: Origin = ANN, key: str = "", **more: Any) -> Order:
        namespace, pod = self.box.suspect
        more.setdefault("approvers", ("leads",))
        return queue.compose(key or f"{command} {by.sender}", by, command, pod, namespace, cluster=self.ports.connection.identify().uid,
                             clock=self.ports.clock, settings=self.configured, **more)  # fmt: skip

    def submit(self, command: Command = "contain", by: Origin = ANN, **more: Any) -> str:
        order = self.order(command, by, **more)
        queue.submit(self.queue, order, self.ports.clock)
        return order.id

    def turn(self) -> list[Held]:
        return list(dispatch.turn(self.queue, self.runner, self.configured, self.ports.clock, self.pulse))

    def until(self, identifier: str, wish: Callable[[Held], bool] | str, seconds: float = 60) -> Held:
        """Turn by turn, until the order is so: a state, or what a function says."""
        end = time.monotonic() + seconds
        while True:
            self.turn()
            held = self.queue.get(identifier)
            if held.status.state == wish if isinstance(wish, str) else wish(held):
                return held
            assert time.monotonic() < end, f"not within {seconds} s: {wish}; it is {held.status}"
            time.sleep(0.05)

    def over(self, identifier: str) -> Held:
        return self.until(identifier, lambda held: held.status.over)

    def decide(self, held: Held, by: Origin = BOB, *, yes: bool = True, digest: str = "", groups: tuple[str, ...] = ()) -> Held:
        planned = held.status.planned
        return deciding.decide(self.queue, held.order.id, by, yes=yes, digest=digest or (planned.digest if planned else ""),
                               clock=self.ports.clock, settings=self.configured, groups=groups)  # fmt: skip

    def configure(self, **sections: Any) -> None:
        """Change the settings, for this process and for those that begin from now on."""
        path = Path(os.environ["IRKIT_CONFIG"])
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **sections}))
        self.configured = settings.load(os.environ)

    @property
    def policies(self) -> list[str]:
        """irkit's own."""
        return [o["metadata"]["name"] for s, o in self.box.store.everything()
                if s.resource.kind == "NetworkPolicy" and o["metadata"]["name"].startswith("irkit-")]  # fmt: skip


@contextmanager
def desk(tmp_path: Path, environ: Callable[[str, str], None], *, shared: bool = True) -> Iterator[Desk]:
    """``environ``: sets a variable for the time of the test. ``shared``: the cluster has namespace irkit-system, so the queue is there."""
    with Sandbox(home=tmp_path / "box") as box, Proxy(box.kubeconfig) as proxy:
        config = tmp_path / "config.yaml"
        config.write_text(yaml.safe_dump({**yaml.safe_load(box.config.read_text()), "slack": SLACK}))
        for name in [n for n in os.environ if n.startswith("IRKIT_")]:
            environ(name, "")
        for name, value in {"IRKIT_CONFIG": config, "IRKIT_HOME": tmp_path / "home", "KUBECONFIG": proxy.kubeconfig}.items():
            environ(name, str(value))
        configured = settings.load(os.environ)
        direct = settings.load({**os.environ, "KUBECONFIG": str(box.kubeconfig)})
        ports = wiring.ports(direct, lambda event: None, yes=True)
        if shared:
            ports.cluster.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "irkit-system"}})
        found = Desk(box, proxy, configured, ports, Watched(proxy))
        try:
            yield found
        finally:
            found.runner.close()
    assert not box.problems
