"""Whether Slack would work from here: the tokens, the scopes, the workspace, the channels, the settings. Posts nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, get_args

from irkit.engine import library
from irkit.errors import IrkitError, NotFoundError, UsageError
from irkit.listeners.slack.manifest import scopes
from irkit.model.order import Command
from irkit.ports.chat import Chat, ChatIdentity
from irkit.settings import Settings
from irkit.settings.slack import SlackSettings
from irkit.text import plural, printable


class Finding(NamedTuple):
    level: Literal["ok", "note", "bad"]
    text: str
    exit_code: int = 0


def examine(chat: Chat, configured: Settings) -> Iterator[Finding]:
    settings = configured.slack
    try:
        identity = chat.whose()
    except IrkitError as error:
        yield Finding("bad", error.message, error.exit_code)
        yield from _settings(configured)
        return
    yield Finding("ok", f"both tokens are good: {printable(identity.user, 60)} in workspace {printable(identity.name, 60)} ({identity.team})")
    yield from _team(identity, settings)
    yield from _scopes(identity, settings)
    yield from _settings(configured)
    for channel in dict.fromkeys((*settings.channels, settings.tell_channel, settings.bag_channel)):
        if channel:
            yield _channel(chat, channel, settings)


def _team(identity: ChatIdentity, settings: SlackSettings) -> Iterator[Finding]:
    if not settings.team:
        yield Finding("bad", f"the settings name no workspace: slack.team: {identity.team}", 2)
    elif settings.team != identity.team:
        yield Finding("bad", f"the tokens are of workspace {identity.team}, and slack.team is {settings.team}", 8)


def _scopes(identity: ChatIdentity, settings: SlackSettings) -> Iterator[Finding]:
    wanted = frozenset(scopes(settings))
    if missing := sorted(wanted - identity.scopes):
        yield Finding("bad", f"the bot's token lacks {', '.join(missing)}: put irkit slack manifest into the app, and install it again", 4)
    if more := sorted(identity.scopes - wanted):
        yield Finding("note", f"the bot's token may more than irkit needs: {printable(', '.join(more), 300)}")
    if identity.scopes == wanted:
        yield Finding("ok", "the bot's token has the scopes of the manifest, and no other")


def _settings(configured: Settings) -> Iterator[Finding]:
    settings = configured.slack
    if not settings.channels or not settings.users:
        yield Finding("bad", "nobody may ask anything: slack.channels and slack.users name nobody", 2)
    for name, groups in settings.approvers.items():
        if name not in get_args(Command):
            try:
                library.locate(name, configured)
            except UsageError as error:
                yield Finding("bad", f"slack.approvers: {error.message}", error.exit_code)
                continue
        people = settings.members(groups)
        yield Finding("ok" if people else "note", f"{printable(name, 60)} may be approved by {plural(len(people), 'person')}")
    if not settings.approvers and any("contain" in c.commands for c in settings.channels.values()):
        yield Finding("note", "nobody may approve in Slack (slack.approvers): irkit approve at a terminal does")


def _channel(chat: Chat, identifier: str, settings: SlackSettings) -> Finding:
    try:
        found = chat.channel(identifier)
    except NotFoundError:
        return Finding("bad", f"channel {identifier} is not there, or private and irkit is not in it: /invite @irkit", 2)
    except IrkitError as error:
        return Finding("bad", f"channel {identifier}: {error.message}", error.exit_code)
    name = f"channel {identifier} ({printable(found.name, 60)})"
    if found.archived:
        return Finding("bad", f"{name} is archived", 2)
    if not found.member:
        return Finding("bad", f"irkit is not in {name}: /invite @irkit", 2)
    if found.shared and identifier == settings.bag_channel:
        return Finding("bad", f"{name} is shared with other organisations, and bags would go there", 8)
    return Finding("note" if found.shared else "ok", f"irkit is in {name}" + (", which other organisations see" if found.shared else ""))
