"""What all handlers of Slack's events share: the chat, the queue, the settings; how an order is taken in, and how somebody is answered."""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from irkit.app.orders import queue
from irkit.errors import BusyError, IrkitError
from irkit.listeners.log import Log
from irkit.listeners.slack import blocks
from irkit.listeners.slack.people import Asker
from irkit.model.order import Command
from irkit.ports import Clock, ClusterReader
from irkit.ports.chat import Chat
from irkit.ports.orders import Orders
from irkit.settings import Settings

_REMEMBERED = 2000
_PATIENCE = 3.0  # seconds that an answer waits where Slack wants a pause: others wait behind it
Read = Callable[[Sequence[str], float], bytes]  # runs a command of irkit that only reads; its document


def sentence(error: IrkitError) -> str:
    """An error for whoever asked."""
    return f"{error.message}\nnext: {error.next or error.otherwise}"


class Recent:
    """The last few keys, and what belongs to them; several threads may ask."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def first(self, key: str, value: str = "") -> bool:
        """Whether this is the first time."""
        with self._lock:
            if key in self._known:
                return False
            self._known[key] = value
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
            return True

    def forget(self, key: str) -> None:
        with self._lock:
            self._known.pop(key, None)

    def get(self, key: str) -> str:
        with self._lock:
            return self._known.get(key, "")


@dataclass(frozen=True)
class Desk:
    chat: Chat
    orders: Orders
    settings: Settings
    clock: Clock
    log: Log
    cluster: Callable[[], str]  # the uid of kube-system
    read: Read
    wake: Callable[[], None]
    reader: ClusterReader | None = None  # for the incidents that only the cluster knows
    answers: Recent = field(default_factory=Recent)  # by order: where Slack wants to be answered

    def order(self, key: str, asker: Asker, command: Command, target: str, namespace: str, *, because: str = "") -> None:
        """Into the queue, once. Raises UsageError, RefusedError, UnreachableError."""
        order = queue.compose(
            key, asker.origin(), command, target, namespace or self.namespace(asker.channel), cluster=self.cluster(), clock=self.clock,
            settings=self.settings, because=because,
        )  # fmt: skip
        self.answers.first(order.id, asker.url)
        _, new = queue.submit(self.orders, order, self.clock)
        self.log("ordered" if new else "ordered-before", order=order.id, words=order.words, user=asker.user, channel=asker.channel, team=asker.team)
        self.wake()

    def namespace(self, channel: str) -> str:
        found = self.settings.slack.channels.get(channel)
        return found.namespace if found else ""

    def refuse(self, what: str, asker: Asker, error: IrkitError) -> None:
        """The audit line of what was not done."""
        self.log(what, level="warning", user=asker.user, team=asker.team, channel=asker.channel, code=error.exit_code, why=error.message)

    def whisper(self, asker: Asker, text: str) -> None:
        """For their eyes only; a chat that does not take it stops nothing."""
        self.whisper_blocks(asker, *blocks.note(text))

    def whisper_blocks(self, asker: Asker, text: str, parts: Sequence[dict[str, object]]) -> None:
        if not asker.channel and not asker.url:  # as on the Home tab
            return
        say = functools.partial(self.chat.whisper, asker.channel, asker.user, text, blocks.message(parts), url=asker.url, thread=asker.thread)
        try:
            try:
                say()
            except BusyError as error:
                if error.seconds > _PATIENCE:
                    raise
                self.clock.sleep(error.seconds)
                say()
        except IrkitError as error:
            self.log("not-answered", level="warning", user=asker.user, channel=asker.channel, why=error.message)
