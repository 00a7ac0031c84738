"""Buttons, the message shortcut, and the modal that it may open. What a message or a modal shows is never believed.

A button's value is the order's id and the digest of the plan that was shown; who pressed it is who Slack says.
"""

from __future__ import annotations

import msgspec

from irkit.app.orders.deciding import decide
from irkit.errors import RefusedError
from irkit.listeners.slack import people, shortcut
from irkit.listeners.slack.address import Address
from irkit.listeners.slack.card import APPROVE, DECLINE
from irkit.listeners.slack.desk import Desk
from irkit.listeners.slack.people import Asker
from irkit.model.kube import Obj
from irkit.model.order import Held
from irkit.text import printable


class Ref(msgspec.Struct):
    id: str = ""


class User(msgspec.Struct):
    id: str = ""
    username: str = ""
    name: str = ""
    team_id: str = ""


class Container(msgspec.Struct):
    message_ts: str = ""
    channel_id: str = ""


class Action(msgspec.Struct):
    action_id: str = ""
    action_ts: str = ""
    value: str = ""


class View(msgspec.Struct):
    id: str = ""
    callback_id: str = ""
    private_metadata: str = ""
    state: Obj = {}

    @property
    def meant(self) -> shortcut.Meant:
        return shortcut.meant(self.private_metadata)


class Interaction(msgspec.Struct):
    """docs.slack.dev/reference/interaction-payloads: of all kinds what irkit looks at."""

    type: str = ""
    user: User = msgspec.field(default_factory=User)
    team: Ref | None = None
    channel: Ref | None = None
    container: Container = msgspec.field(default_factory=Container)
    actions: tuple[Action, ...] = ()
    action_ts: str = ""
    callback_id: str = ""
    trigger_id: str = ""
    response_url: str = ""
    message: Obj = {}
    view: View | None = None

    def asker(self, home: str) -> Asker:
        """``home``: the workspace that irkit works for. Whatever of the event names another one counts."""
        teams = [t for t in (self.team.id if self.team else "", self.user.team_id) if t]
        team = next((t for t in teams if t != home), teams[0] if teams else "")
        channel = self.container.channel_id or (self.channel.id if self.channel else "") or (self.view.meant.channel if self.view else "")
        return Asker(self.user.id, self.user.username or self.user.name, team, channel, self.response_url)

    def key(self) -> str:
        """What this event is, however often it is sent."""
        team = self.team.id if self.team else ""
        inside = self.view.id if self.view else "+".join(a.action_ts for a in self.actions) or self.action_ts
        at = self.container.message_ts or str(self.message.get("ts", ""))
        channel = self.channel.id if self.channel else ""
        return f"slack:{team}:{self.type}:{self.user.id}:{channel}:{at}:{inside or self.trigger_id}"


def handle(desk: Desk, key: str, asker: Asker, said: Interaction) -> None:
    """Raises IrkitError where it is refused."""
    match said.type:
        case "block_actions":
            for action in said.actions:
                if action.action_id in (APPROVE, DECLINE):
                    _decided(desk, asker, said, action)
        case "message_action" if said.callback_id == shortcut.CALLBACK:
            shortcut.asked(desk, key, asker, said.message, said.trigger_id)
        case "view_submission" if said.view is not None and said.view.callback_id == shortcut.CALLBACK:
            shortcut.chosen(desk, key, asker, said.view.meant, said.view.state)
        case _:
            desk.log("slack-unknown", level="warning", kind=said.type, callback=said.callback_id, user=asker.user)


def check_view(desk: Desk, asker: Asker, said: Interaction) -> None:
    """What can be told within the modal. Raises IrkitError."""
    people.allowed(asker, "collect", desk.settings.slack)
    if said.view is not None and said.view.callback_id == shortcut.CALLBACK:
        shortcut.check(desk, asker, said.view.meant, said.view.state)


def shown_in_view(text: str) -> Obj:
    """The answer to a modal that keeps it open, with the reason at its input."""
    return {"response_action": "errors", "errors": {shortcut.NAMESPACE: printable(text.partition("\n")[0], 1500)}}


def _decided(desk: Desk, asker: Asker, said: Interaction, action: Action) -> None:
    people.known(asker, desk.settings.slack)
    identifier, _, digest = action.value.partition(" ")
    held, yes = desk.orders.get(identifier), action.action_id == APPROVE
    shown = Address.read(held.status.message)
    if (shown.channel, shown.message) != (asker.channel, said.container.message_ts):
        raise RefusedError(f"that message is not the one that irkit shows order {held.order.id} in; nothing was changed",
                           next=f"irkit order show {held.order.id}")  # fmt: skip
    if _said_before(held, asker, yes=yes, digest=digest):
        return
    try:
        after = decide(desk.orders, identifier, asker.origin(), yes=yes, digest=digest, clock=desk.clock, settings=desk.settings)
    except RefusedError:
        if _said_before(desk.orders.get(identifier), asker, yes=yes, digest=digest):  # another irkit was quicker
            return
        raise
    desk.log("decided", order=after.order.id, words=after.order.words, approved=yes, user=asker.user, team=asker.team, digest=digest)
    desk.wake()


def _said_before(held: Held, asker: Asker, *, yes: bool, digest: str) -> bool:
    """Whether this is a decision that counts already: Slack sent it twice."""
    last = held.status.decisions[-1] if held.status.decisions else None
    return last is not None and (last.by.door, last.by.team, last.by.sender, last.yes, last.digest) == ("slack", asker.team, asker.user, yes, digest)
