"""Slack: which people may ask for what, where, and who may approve it. Nothing is allowed that is not written here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, TypeAlias

import msgspec

from irkit.settings.section import Section

Word: TypeAlias = Literal["collect", "contain", "status", "blast-radius", "verify", "rehearse"]
Id: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[A-Z][A-Z0-9]{1,20}$")]
NoId: TypeAlias = Annotated[str, msgspec.Meta(pattern="^([A-Z][A-Z0-9]{1,20})?$")]
Group: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


class ChannelSettings(Section, frozen=True):
    """A channel from which irkit may be asked."""

    commands: tuple[Word, ...] = ()
    """What may be asked for there: ``collect``, ``contain``, ``status``, ``blast-radius``, ``verify``, ``rehearse``; default nothing."""
    namespace: str = ""
    """The namespace that is meant where a command names none."""


class SlackSettings(Section, frozen=True):
    team: NoId = ""
    """The workspace's id (``T012AB3CD``). What comes from another one is refused; empty: everything is."""
    channels: dict[Id, ChannelSettings] = {}
    """By channel id (``C012AB3CD``)."""
    users: dict[Id, tuple[Group, ...]] = {}
    """Who may ask, by Slack user id (``U012AB3CD``), and the groups that each is in."""
    approvers: dict[str, tuple[Group, ...]] = {}
    """Groups whose members may approve, by playbook or command (``compromised-pod``, ``contain``); the playbook's go first."""
    tell_channel: NoId = ""
    """Where orders of alerts are told, and approved; empty: nowhere in Slack."""
    bag_channel: NoId = ""
    """The only channel that bags are uploaded into; empty: none. Whoever is in it sees logs as the pods wrote them."""
    bag_limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    """Size up to which a packed bag is uploaded, in MB."""
    incident_channels: bool = False
    """Whether each incident gets a private channel, with those who asked and decided in it."""

    def groups(self, user: str) -> frozenset[str]:
        """None for whoever is not listed."""
        return frozenset(self.users.get(user, ()))

    def approving(self, *names: str) -> tuple[str, ...]:
        """The groups of the first of ``names`` that has some."""
        return next((self.approvers[n] for n in names if n in self.approvers), ())

    def members(self, groups: Iterable[str]) -> list[str]:
        """The users who are in one of these groups."""
        wanted = set(groups)
        return sorted(user for user, mine in self.users.items() if wanted & set(mine))
