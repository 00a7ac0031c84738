"""Who asks, from where, and whether they may. Only ids that Slack itself put into an event are looked at, never a text."""

from __future__ import annotations

from typing import NamedTuple

from irkit.errors import RefusedError
from irkit.model.order import Origin
from irkit.settings.slack import SlackSettings
from irkit.text import printable


class Asker(NamedTuple):
    user: str
    name: str  # what Slack calls them
    team: str
    channel: str
    url: str = ""  # where Slack wants answers to this event
    thread: str = ""

    def origin(self) -> Origin:
        return Origin(door="slack", sender=self.user, shown=printable(self.name, 60), team=self.team, channel=self.channel, thread=self.thread)


def known(asker: Asker, settings: SlackSettings) -> None:
    """Raises RefusedError for another workspace, and for whoever is not listed."""
    if not settings.team or asker.team != settings.team:
        raise RefusedError(f"workspace {printable(asker.team, 30) or 'none'} is not the one that irkit works for; nothing was done",
                           next="ask whoever runs irkit (slack.team in its settings)")  # fmt: skip
    if asker.user not in settings.users:
        raise RefusedError(f"you ({printable(asker.user, 30)}) are not among those who may ask irkit; nothing was done",
                           next="ask whoever runs irkit (slack.users in its settings)")  # fmt: skip


def allowed(asker: Asker, word: str, settings: SlackSettings) -> None:
    """Raises RefusedError where that person may not ask for that there."""
    known(asker, settings)
    channel = settings.channels.get(asker.channel)
    if channel is None:
        raise RefusedError(f"irkit takes no commands from this channel ({printable(asker.channel, 30)}); nothing was done",
                           next="ask in a channel that it is set up for (slack.channels in its settings)")  # fmt: skip
    if word != "help" and word not in channel.commands:
        raise RefusedError(f"{word} can't be asked for in this channel, only: {', '.join(channel.commands) or 'nothing'}; nothing was done",
                           next="ask in a channel that it is set up for (slack.channels in its settings)")  # fmt: skip
