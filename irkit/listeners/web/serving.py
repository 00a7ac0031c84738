"""`irkit serve`, put together: the server, the rules, the queue, and the turns of whichever process leads."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import msgspec

from irkit import wiring
from irkit.errors import IrkitError, UsageError
from irkit.listeners.late import LateOrders
from irkit.listeners.log import Log
from irkit.listeners.loop import Counts, Loop, Teller
from irkit.listeners.web.desk import Desk
from irkit.listeners.web.door import Door, plain
from irkit.listeners.web.metrics import Metrics
from irkit.listeners.web.ordering import Clerk
from irkit.listeners.web.rules.rule import Rule
from irkit.listeners.web.seen import Seen
from irkit.model.http import Answer, Bounds
from irkit.ports.chat import Chat
from irkit.ports.orders import Orders
from irkit.settings import Settings
from irkit.settings.notify import loopback
from irkit.text import printable

_AGAIN = 2.0  # seconds between two tries to find the queue
_RENEWED = 60.0  # seconds between two looks at the files of the certificate
_ENDING = 10.0  # seconds that threads get at the end


def address(listen: str) -> tuple[str, int]:
    """``127.0.0.1:8710``, ``[::1]:8710``, ``:8710`` (this machine). Raises UsageError."""
    host, colon, port = listen.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit() and int(port[:6]) <= 65535) or (":" in host and not host.startswith("[")):
        raise UsageError(f"{printable(listen, 80)!r} is no address to listen on", next="--listen 127.0.0.1:8710, or --listen [::]:8710")
    return host.strip("[]") or "127.0.0.1", int(port)


class _Lines(logging.Handler):
    """What libraries log, as lines like all others; without their tracebacks, which may quote anything."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        self._log("library", level=record.levelname.lower(), name=record.name, what=record.getMessage(), error=kind)


class Serving:
    """``options``: of ``irkit order work``, for orders that are carried out on this machine; ``reading``: of commands that only read."""

    def __init__(self, settings: Settings, rules: Sequence[Rule], log: Log, options: Sequence[str] = (), reading: Sequence[str] = ()) -> None:
        """Raises UsageError where it can't be begun: an address, a certificate, a secret."""
        serve = settings.serve
        host, port = address(serve.listen)
        if serve.tls is None and not serve.insecure_behind_proxy and not loopback(host):
            raise UsageError(f"{printable(serve.listen, 80)} is not this machine alone, and there is no TLS",
                             next="set serve.tls, or serve.insecure-behind-proxy where something in front ends TLS")  # fmt: skip
        if not serve.sources:
            raise UsageError("nobody may send anything: serve.sources is empty", next="docs/reference/serve.md has an example")
        brief = msgspec.structs.replace(settings, request_timeout=min(settings.request_timeout, serve.answer), retry_budget=serve.answer)
        self._settings, self._options, self._reading, self._log = settings, options, reading, log
        self._ports = wiring.ports(brief, lambda event: None)
        clock = self._ports.clock
        self._orders, self._over = LateOrders(), threading.Event()
        self._seen = Seen(self._orders, clock)
        self._metrics = Metrics(tuple(serve.sources), [rule.name for rule in rules if rule.dry_run])
        self._loop: Loop | None = None
        self._leads: Callable[[], bool] = lambda: False
        self._led: Callable[[], bool] = lambda: False
        self._failed: IrkitError | None = None
        clerk = Clerk(self._orders, self._seen, self._ports.cluster, self._uid, settings, clock, self._wake)
        self._desk = Desk(rules, clerk, clock)
        pages = {"/healthz": self._health, "/readyz": self._ready, "/metrics": self._figures}
        self._door = Door(serve, self._desk, self._metrics, clock, log, pages)
        self._certificates = wiring.certificates(serve.tls) if serve.tls else None
        bounds = Bounds(head=serve.head, body=serve.body, request=serve.request, idle=serve.idle, answer=serve.answer,
                        connections=serve.connections, connections_per_peer=serve.connections_per_peer)  # fmt: skip
        self._server = wiring.httpd(host, port, self._door, bounds, self._certificates.context if self._certificates else None)

    def run(self, chat: Chat | None = None) -> int:
        """Until SIGTERM or SIGINT. Raises UsageError where the port is taken, and what makes going on senseless."""
        host, port = self._server.open()
        self._log("listening", address=f"{host}:{port}", tls=self._certificates is not None, sources=len(self._settings.serve.sources))
        logging.getLogger().addHandler(_Lines(self._log))
        asyncio.run(self._run(chat))
        self._log("ended")
        if self._failed is not None:
            raise self._failed
        return 0

    async def _run(self, chat: Chat | None) -> None:
        over, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, over.set)
        end = lambda: loop.call_soon_threadsafe(over.set)  # noqa: E731
        threads = [threading.Thread(target=self._work, args=(chat, end), name="irkit-orders", daemon=True),
                   threading.Thread(target=self._seen.run, args=(self._over,), name="irkit-seen", daemon=True)]  # fmt: skip
        for thread in threads:
            thread.start()
        renewing = asyncio.ensure_future(self._renew())
        try:
            await self._server.serve(over)
        finally:
            renewing.cancel()
            self._over.set()
            self._desk.close()
            for thread in threads:
                await loop.run_in_executor(None, thread.join, _ENDING)

    def _work(self, chat: Chat | None, end: Callable[[], object]) -> None:
        """See to the queue. Whatever ends this ends the process: one that only listens would be a leader that does nothing."""
        try:
            with ExitStack() as stack:
                self._see(chat, stack)
        except IrkitError as error:  # a wrong setting: it would be wrong the next time, too
            self._failed = error
        except Exception as error:  # noqa: BLE001 -- as above
            self._failed = IrkitError(f"not foreseen: {type(error).__name__}: {printable(error, 200)}")
        finally:
            end()

    def _see(self, chat: Chat | None, stack: ExitStack) -> None:
        """Find the queue, then see to it where this process leads."""
        queue = self._queue()
        if queue is None:
            return
        runner = wiring.runner(self._settings, self._ports.cluster, queue, self._options)
        stack.callback(runner.close)
        leader = wiring.leader(self._settings, queue, heard=lambda said: self._log("leader", said=said))
        leader.start()
        stack.callback(leader.close)
        self._leads, self._led = leader.leads, leader.led
        tell = [self._talk(chat, queue, stack)] if chat is not None else []
        self._loop = Loop(queue, runner, self._settings, self._ports.clock, self._log, leader.leads, tell)
        self._orders.found(queue)
        self._log("queue", where=queue.where)
        self._loop.run(self._over)

    def _talk(self, chat: Chat, queue: Orders, stack: ExitStack) -> Teller:
        from irkit.listeners import slack

        asking = wiring.asking(self._reading)
        stack.callback(asking.close)
        begun = slack.start(chat, queue, self._settings, self._ports.clock, self._log, cluster=self._uid, read=asking.ask, wake=self._wake,
                            reader=self._ports.cluster)  # fmt: skip
        stack.callback(begun.close)
        return begun.tell

    def _uid(self) -> str:
        return self._ports.connection.identify().uid

    def _queue(self) -> Orders | None:
        """The queue; None where the end came sooner. A cluster that is out now is asked again."""
        said = ""
        while not self._over.is_set():
            try:
                return wiring.orders(self._settings, self._ports.cluster)
            except UsageError:
                raise
            except IrkitError as error:
                if error.message != said:
                    self._log("queue-out", level="error", why=error.message)
                said = error.message
                self._over.wait(_AGAIN)
        return None

    async def _renew(self) -> None:
        while self._certificates is not None:
            await asyncio.sleep(_RENEWED)
            try:
                if self._certificates.refresh():
                    self._log("certificate-read-again")
            except UsageError as error:
                self._log("certificate-unusable", level="error", why=error.message)

    def _wake(self) -> None:
        if self._loop is not None:
            self._loop.wake()

    def _health(self) -> Answer:
        return Answer(200, {"status": "ok"})

    def _ready(self) -> Answer:
        if self._seen.last is None:
            return Answer(503, {"error": "the queue of orders can't be reached"}, retry_after=int(_AGAIN))
        if not self._led():
            return Answer(503, {"error": "nobody sees to the orders: no leader was seen"}, retry_after=int(_AGAIN))
        return Answer(200, {"status": "ready", "leads": self._leads()})

    def _figures(self) -> Answer:
        turns = self._loop.counts if self._loop is not None else Counts()
        return plain(self._metrics.text(self._seen.last, leads=self._leads(), turns=turns))
