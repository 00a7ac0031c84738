"""The composition root: settings in, ports out. The only place that picks adapters."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from irkit import settings as _settings
from irkit.ports import Announcer, Approver, Clock, Cluster, EvidenceStore, Listener, Ports
from irkit.ports.chat import Chat
from irkit.ports.orders import Orders, Runner
from irkit.ports.store import ObjectStore
from irkit.settings import Settings

if TYPE_CHECKING:
    from ssl import SSLContext

    from irkit.adapters.asking import Asking
    from irkit.adapters.httpd import Httpd
    from irkit.adapters.httptls import Certificates
    from irkit.app.staging.game import Ground
    from irkit.engine.leader import Leader
    from irkit.model.http import Bounds, Door
    from irkit.model.picture import Picture
    from irkit.sandbox import Sandbox
    from irkit.settings.serve import TlsSettings
    from irkit.stage import Origin, Repeatable, Turns


def settings(**flags: object) -> Settings:
    """Settings from flags, environment and file. Raises UsageError."""
    return _settings.load(os.environ, **flags)


def ports(configured: Settings, listen: Listener, *, yes: bool = False, values: Mapping[str, Path] | None = None, rehearsal: bool = False,
          wait: Callable[[float], None] | None = None) -> Ports:  # fmt: skip
    """A real cluster, the machine's clock and disk, and whoever sits at the terminal. Connects with the first request.

    ``yes``: every confirmation is given. ``values``: files that hold what only an issuer can make, by credential.
    ``rehearsal``: nobody outside is told anything, and what ``yes`` can't answer answers itself; ``wait``: how time passes there.
    """
    from irkit.adapters.clock import Ahead, SystemClock
    from irkit.adapters.kubernetes import connect
    from irkit.adapters.notifier import Messenger
    from irkit.adapters.outside import Outside
    from irkit.adapters.outward import Lookout
    from irkit.adapters.terminal import Terminal, Unattended

    connected, clock = connect(configured), SystemClock() if wait is None else Ahead(wait)
    approver = Unattended(values) if yes and rehearsal else Terminal(yes=yes, values=values)
    notifier = Messenger(configured, clock, rehearsal=rehearsal)
    return Ports(
        cluster=connected, connection=connected, clock=clock, approver=approver, notifier=notifier, settings=configured,
        evidence=evidence(configured), vaults=Outside(configured), outward=Lookout(configured), listen=listen, argv=tuple(sys.argv),
        store=None if rehearsal else lambda to: store(configured, to), announcer=None if rehearsal else _announcer(configured, clock),
    )  # fmt: skip


def _announcer(configured: Settings, clock: Clock) -> Announcer | None:
    """None where nobody wants to be told."""
    if not any(hook.events for hook in configured.notify.webhooks.values()):
        return None
    from irkit.adapters.announcing import Announcer as Announcing

    return Announcing(configured, clock)


@contextmanager
def cluster(configured: Settings) -> Iterator[Cluster]:
    """The cluster alone. Connects with the first request."""
    from irkit.adapters.kubernetes import connect

    with closing(connect(configured)) as connected:
        yield connected


def scenarios() -> list[Path]:
    """Directories of one's own scenarios, by ``IRKIT_SCENARIOS``."""
    return [Path(os.environ["IRKIT_SCENARIOS"])] if os.environ.get("IRKIT_SCENARIOS") else []


def orders(configured: Settings, connected: Cluster) -> Orders:
    """The queue of orders, where the settings want it. Raises ForbiddenError, UnreachableError."""
    from irkit.adapters.orderfiles import OrderFiles
    from irkit.adapters.ordermaps import OrderMaps
    from irkit.model.kube import NAMESPACES, ObjectRef
    from irkit.model.order import SYSTEM_NAMESPACE
    from irkit.ports import exists

    limits, shared = configured.orders, configured.orders.queue == "cluster"
    if configured.orders.queue == "auto":
        shared = exists(connected, ObjectRef(resource=NAMESPACES, name=SYSTEM_NAMESPACE)) is not None
    return OrderMaps(connected, limits.most_open, clock()) if shared else OrderFiles(configured.home / "orders", limits.most_open)


def store(configured: Settings, to: str = "") -> ObjectStore:
    """The object store of the settings, or ``to`` (``s3://bucket/prefix``) at its endpoint. Raises UsageError where there is none."""
    from irkit.adapters.objectstore import Bucket, chosen

    return Bucket(chosen(configured.store, to))


def children(options: Sequence[str]) -> Runner:
    """Orders are carried out on this machine. ``options``: of ``irkit order work``."""
    from irkit.adapters.children import Children

    return Children(options)


def runner(configured: Settings, connected: Cluster, queue: Orders, options: Sequence[str]) -> Runner:
    """Who carries orders out, as the settings want it. ``options``: as of `children`. Raises UsageError."""
    from irkit.adapters.jobs import Jobs
    from irkit.adapters.ordermaps import OrderMaps
    from irkit.errors import UsageError

    if configured.orders.jobs is None:
        return children(options)
    if not isinstance(queue, OrderMaps):
        raise UsageError(f"settings: orders.jobs needs the queue in the cluster, and orders wait on {queue.where}",
                         next="create namespace irkit-system, or remove orders.jobs")  # fmt: skip
    return Jobs(connected, clock(), configured.orders.jobs)


def leader(configured: Settings, queue: Orders, heard: Callable[[str], None] = lambda said: None) -> Leader:
    """Who of several listeners sees to this queue: `start` it, and `close` it at the end. ``heard``: as of `LeaseLeader`."""
    import secrets
    import socket

    import msgspec

    from irkit.adapters.kubernetes import connect
    from irkit.adapters.ordermaps import OrderMaps
    from irkit.engine.leader import RETRY, FileLeader, LeaseLeader

    identity = f"{socket.gethostname()}_{secrets.token_hex(8)}"
    if not isinstance(queue, OrderMaps):
        return FileLeader(configured.home / "locks", identity)
    # a connection of its own, which does not wait longer than leadership lasts
    hasty = msgspec.structs.replace(configured, request_timeout=min(configured.request_timeout, 3.0), retry_budget=RETRY)
    return LeaseLeader(connect(hasty), clock(), identity, heard=heard)


def slack() -> Chat:
    """Slack, with the tokens of the environment, which nothing that this process starts gets to see. Raises UsageError."""
    from irkit.adapters.slack import SlackChat
    from irkit.adapters.slackhost import base
    from irkit.errors import UsageError

    app, bot = os.environ.pop("SLACK_APP_TOKEN", ""), os.environ.pop("SLACK_BOT_TOKEN", "")
    if not app.startswith("xapp-") or not bot.startswith("xoxb-"):
        name, like = ("SLACK_BOT_TOKEN", "xoxb-") if app.startswith("xapp-") else ("SLACK_APP_TOKEN", "xapp-")
        raise UsageError(f"{name} is not set to a token that begins with {like}", next="irkit slack setup")
    return SlackChat(app, bot, base(os.environ))


def asking(options: Sequence[str]) -> Asking:
    """Commands that only read, for a listener. ``options``: as of `children`, for the kubeconfig's context."""
    from irkit.adapters.asking import Asking

    return Asking(options)


def httpd(host: str, port: int, door: Door, bounds: Bounds, tls: SSLContext | None) -> Httpd:
    """A server that does not listen yet."""
    from irkit.adapters.httpd import Httpd

    return Httpd(host, port, door, bounds, tls)


def certificates(tls: TlsSettings) -> Certificates:
    """The TLS of a server. Raises UsageError."""
    from irkit.adapters.httptls import Certificates

    return Certificates(tls)


def clock() -> Clock:
    """The machine's."""
    from irkit.adapters.clock import SystemClock

    return SystemClock()


def dashboard(picture: Callable[[], Picture], stream: TextIO) -> AbstractContextManager[object]:
    """A picture that redraws itself at the foot of a terminal, for the time of a block."""
    from irkit.adapters.console import Dashboard

    return Dashboard(picture, stream)


def evidence(configured: Settings) -> Callable[[str], EvidenceStore]:
    """Where an incident's bags are, by its id."""
    from irkit.evidence.store import BagStore

    return lambda incident: BagStore(configured.home / "incidents" / incident / "bags")


def inside(box: Sandbox) -> Settings:
    """Settings for a rehearsal cluster that runs. This process forgets the Vault that the user works with: it is not that one's turn."""
    for name in [name for name in os.environ if name.startswith(("VAULT_", "BAO_"))]:
        del os.environ[name]
    os.environ.update(box.environment)
    return settings()


def stage(box: Sandbox) -> tuple[Repeatable, Turns]:
    """The stage of a cluster that `game` made and that runs, and whose turn it is there."""
    from irkit.sandbox.stage import BoxStage

    assert box.turns is not None, "it has the clock of a game"
    return BoxStage(box), box.turns


@contextmanager
def staging(configured: Settings) -> Iterator[Ground]:
    """A real cluster to play on. Connects with the first request. Raises KubeconfigError."""
    from irkit.adapters import staging as real
    from irkit.adapters.clock import SystemClock
    from irkit.adapters.kubernetes import connect
    from irkit.app.staging.game import Ground

    def base(name: str) -> list[dict[str, object]]:
        from irkit.sandbox.scenarios import todo_app

        return todo_app.written() if name == "todo-app" else []

    clock = SystemClock()
    with closing(connect(configured)) as connected:
        about = connected.about
        names = {"context": about.context, "cluster": about.cluster, "server": about.server, "user": about.user, "namespace": about.namespace}
        yield Ground(
            cluster=connected, connection=connected, clock=clock, settings=configured, context=about.context, names=names, base=base,
            stage=lambda namespace, suspect, images, speed: real.stage(connected, namespace, suspect, images, clock, speed),
        )  # fmt: skip


def asker(*, yes: bool) -> Approver:
    """Whoever is at the terminal, for questions of yes or no."""
    from irkit.adapters.terminal import Terminal

    return Terminal(yes=yes)


def pointed(configured: Settings, namespace: str, folder: Path) -> str:
    """What KUBECONFIG must be for a terminal that is to be in ``namespace`` of that context: a file in ``folder`` before those there are."""
    import json

    from irkit.adapters.kubernetes import connect

    with closing(connect(configured)) as connected:
        about = connected.about
    context = {"name": namespace, "context": {"cluster": about.cluster, "user": about.user, "namespace": namespace}}
    path = folder / "kubeconfig"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": namespace, "contexts": [context]}))
    files = [p for p in (configured.kubeconfig or str(Path.home() / ".kube" / "config")).split(os.pathsep) if p]
    return os.pathsep.join([str(path), *(str(Path(p).absolute()) for p in files)])


def game(base: str, seed: int, home: Path, speed: float = 1.0, origin: Origin | None = None) -> Sandbox:
    """The built-in cluster with the clock of a game, not started yet; another cluster each time, as `rehearsal`'s.

    ``origin``: what a game began with that is to be seen again, on a clock that goes on with its turns alone.
    """
    from uuid import uuid4

    from irkit.sandbox import Sandbox
    from irkit.sandbox.turns import Stepped

    if origin:
        return Sandbox(scenario=base, seed=seed, home=home, clock=Stepped(origin.began, speed=0), origin=origin)
    return Sandbox(scenario=base, seed=seed, home=home, clock=Stepped(clock().now().replace(microsecond=0), speed), cluster=str(uuid4()))


def rehearsal(scenario: str, seed: int, home: Path) -> Sandbox:
    """The built-in cluster, not started yet: a context manager. Raises UsageError for a scenario that there is not."""
    from uuid import uuid4

    from irkit.sandbox import Sandbox

    # another cluster each time: an incident of the last rehearsal is not gone on with in this one
    return Sandbox(scenario=scenario, seed=seed, home=home, cluster=str(uuid4()))
