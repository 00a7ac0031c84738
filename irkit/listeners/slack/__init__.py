"""Slack: a command, a button or a shortcut becomes an order in the queue, and what becomes of it is told. It never acts itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from irkit.errors import UsageError
from irkit.listeners.log import Log
from irkit.listeners.slack.desk import Desk, Read
from irkit.listeners.slack.envelopes import Door
from irkit.listeners.slack.relay import Relay
from irkit.model.order import Held
from irkit.ports import Clock, ClusterReader
from irkit.ports.chat import Chat
from irkit.ports.orders import Orders
from irkit.settings import Settings


class Slack:
    """What `start` began. ``tell`` is a teller for `listeners.loop.Loop`; it never waits."""

    def __init__(self, chat: Chat, door: Door, relay: Relay) -> None:
        self._chat, self._door, self._relay = chat, door, relay

    def tell(self, held: Sequence[Held]) -> None:
        self._relay.tell(held)

    def close(self) -> None:
        """Take nothing more, end what was begun."""
        self._chat.close()
        self._door.close()
        self._relay.close()


def start(
    chat: Chat, orders: Orders, settings: Settings, clock: Clock, log: Log, *, cluster: Callable[[], str], read: Read, wake: Callable[[], None],
    reader: ClusterReader | None = None,
) -> Slack:  # fmt: skip
    """Listen in threads of its own until `Slack.close`.

    ``cluster``: the uid of kube-system. ``read``: runs a command of irkit that only reads. ``wake``: there is something new
    in the queue. ``reader``: for incidents that only the cluster knows. Raises UsageError where the settings name no
    workspace, ForbiddenError where Slack refuses the app's token; a Slack that can't be reached is tried again and again.
    """
    if not settings.slack.team:
        raise UsageError("the settings name no workspace: slack.team", next="irkit slack setup")
    desk = Desk(chat=chat, orders=orders, settings=settings, clock=clock, log=log, cluster=cluster, read=read, wake=wake, reader=reader)
    door, relay = Door(desk), Relay(desk)
    try:
        chat.listen(door.take, lambda word, text: log("slack-" + word, level="info" if word == "connected" else "warning", what=text))
    except BaseException:
        relay.close(0.0)
        door.close()
        raise
    return Slack(chat, door, relay)
