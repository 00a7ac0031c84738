"""What happened to an incident, as others are told: pagers, ticket systems, chat rooms."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from irkit.model.kube import Value

Event: TypeAlias = Literal["opened", "approval", "ended", "drift", "closed", "message"]
EVENTS: tuple[str, ...] = get_args(Event)


class Announcement(Value, frozen=True):
    """Plain facts. Every text is one line and safe to show, but means nothing more than its letters: whoever sends it escapes it."""

    event: Event
    incident: str
    title: str  # what and where, in one line
    text: str  # what happened, in a sentence or two
    severity: str = ""  # critical | high | medium | low
    target: str = ""
    namespace: str = ""
    cluster: str = ""
    playbook: str = ""
    operator: str = ""
    summary: str = ""  # what was reported: a stranger's words
    next: str = ""  # the command that comes next
    at: str = ""  # RFC 3339
