"""Who plays together: the roles that they have, and, by the audit log, who did what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from irkit.game.course import Course
from irkit.game.view import acting
from irkit.model.kube import Obj, Value, at
from irkit.model.picture import Role
from irkit.text import printable

ROLES: Mapping[str, str] = {"commander": "incident commander", "operations": "operations", "communications": "communications", "scribe": "scribe"}
"""By the word that is typed: those of the Incident Command System, as PagerDuty's and NIST SP 800-61's teams name them."""
_NAME = re.compile(r"(?!kube-)[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")
_DEEDS = 500


class Held(Value, frozen=True, omit_defaults=False):
    """Who had a role, from when to when, in seconds after the alert; ``to`` None: until the end."""

    role: str
    who: str
    since: float
    to: float | None = None


class Deed(Value, frozen=True, omit_defaults=False):
    """What somebody asked of the cluster, ``count`` times in a row; ``at`` seconds after the alert: the first."""

    at: float
    who: str
    what: str
    count: int = 1


class Team:
    """The roles of one game. A role that somebody takes from somebody else is passed on, and everybody hears of it."""

    def __init__(self) -> None:
        self.held: list[Held] = []
        self.names: list[str] = []

    def join(self, course: Course, who: str, role: str = "") -> None:
        """Raises ValueError, in a sentence, for a name or a role that can't be."""
        if not _NAME.fullmatch(who):
            raise ValueError(f"{printable(who, 80)!r} can't be a player's name: letters, digits and ._@- are, and no kube- before them")
        if role and role not in ROLES:
            raise ValueError(f"there is no role {printable(role, 80)!r}; there are {', '.join(ROLES)}")
        if who not in self.names:
            self.names.append(who)
            course.say("role", f"{who} joins")
        if role:
            self._take(course, who, role)

    def _take(self, course: Course, who: str, role: str) -> None:
        before = next((held for held in self.held if held.role == ROLES[role] and held.to is None), None)
        if before and before.who == who:
            return
        now = round(course.seconds, 3)
        if before:
            self.held[self.held.index(before)] = Held(role=before.role, who=before.who, since=before.since, to=now)
        self.held.append(Held(role=ROLES[role], who=who, since=now))
        course.say("role", f"{ROLES[role]}: " + (f"passed on from {before.who} to {who}" if before else who))

    @property
    def roles(self) -> tuple[Role, ...]:
        """All of them, also those that nobody has."""
        now = {held.role: held.who for held in self.held if held.to is None}
        return tuple(Role(name=name, who=now.get(name, "")) for name in ROLES.values())


def deeds(course: Course) -> list[Deed]:
    """What players changed, and which logs they read: by the audit log, so that nobody need be believed."""
    found: list[Deed] = []
    writes = {event["auditID"] for event in acting(course.view.players)}
    for event in course.view.players:
        if not 200 <= at(event, ("responseStatus", "code"), 0) < 300 or event["stage"] != "ResponseComplete":
            continue
        if event["auditID"] not in writes and at(event, ("objectRef", "subresource")) != "log":
            continue
        moment = datetime.fromisoformat(event["requestReceivedTimestamp"])
        deed = Deed(at=round(max(0.0, (moment - course.view.began).total_seconds()), 3), who=_who(event), what=_what(event))
        if found and (found[-1].who, found[-1].what) == (deed.who, deed.what):
            found[-1] = Deed(at=found[-1].at, who=deed.who, what=deed.what, count=found[-1].count + 1)
        else:
            found.append(deed)
    return found[:_DEEDS]


def _who(event: Obj) -> str:
    return printable(at(event, ("user", "username"), ""), 100)


def _what(event: Obj) -> str:
    """``patch pods/web-1 in shop``: the first of several pods stands for all of them."""
    about = event.get("objectRef") or {}
    kind = "/".join(filter(None, (about.get("resource", ""), about.get("subresource", ""))))
    verb = "read" if about.get("subresource") == "log" else event["verb"]
    name = "" if about.get("resource") == "pods" else about.get("name", "")
    where = f" in {about['namespace']}" if about.get("namespace") else ""
    return printable(f"{verb} {kind}{f' {name}' if name else ''}{where}", 200)
