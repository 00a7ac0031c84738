"""What was done to the world that should not have been, and by which request: who, verb and object from the audit log.

An agent's name or a label proves nothing and is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from irkit.game.view import View, changes
from irkit.model.kube import NETWORKPOLICIES, PODS, SERVICES, Obj, at, labels_of, selects
from irkit.network.verdict import judge, line
from irkit.text import printable

_SOON = 60.0  # seconds in which what follows from a request has happened: a pod's grace, a rollout


class Cause(msgspec.Struct, frozen=True):
    """A request: ``when`` in seconds after the alert, ``object`` as ``pods todo-app/web-0``."""

    when: float
    who: str
    verb: str
    object: str

    def __str__(self) -> str:
        return f"{self.who}: {self.verb} {self.object}"


class Ending(msgspec.Struct, frozen=True):
    """A pod that began to end."""

    pod: str
    when: float
    by: Cause | None


class Harm:
    """Looked at after each turn."""

    def __init__(self, view: View) -> None:
        self._view = view
        self.cause: Cause | None = None  # of what changed in this turn
        self.endings: dict[str, Ending] = {}  # by uid of the pod
        self.open: dict[str, list[list[float | None]]] = {}  # by way out or in of the suspect: from when to when
        self.acts: list[Cause] = []  # every request that changed something, in order
        self._heard = len(view.stage.asked)
        self._version = -1
        suspect = labels_of(view.stage.find(view.cast.suspect) or {})
        self.own = {f"{s['metadata']['namespace']}/{s['metadata']['name']}" for s in view.stage.objects(SERVICES, view.cast.suspect.namespace)
                    if (wanted := at(s, ("spec", "selector"), {})) and selects({"matchLabels": wanted}, suspect)}  # fmt: skip
        """The Services of the suspect's own application."""

    def look(self, *, attacked: bool) -> None:
        """``attacked``: it was the attacker's turn, so that nobody else is to blame for it."""
        self.cause = self._blame(attacked=attacked)
        if self._view.stage.version == self._version:
            return
        self._version = self._view.stage.version
        self._watch_pods()
        self._watch_leaks()

    @property
    def _now(self) -> float:
        return (self._view.now - self._view.began).total_seconds()

    def _blame(self, *, attacked: bool) -> Cause | None:
        asked = self._view.stage.asked
        new = [] if attacked else [self._cause(e) for e in asked[self._heard :] if wrote(e)]
        self._heard = len(asked)
        self.acts += new
        last = self.acts[-1] if self.acts and not attacked else None
        return last if last and (new or self._now - last.when <= _SOON) else None

    def tried(self, *objects: str) -> Cause | None:
        """The last request that changed one of these (``pods todo-app/web-0``), or created one of a kind where it ends with ``/``."""
        return next((act for act in reversed(self.acts) if act.object in objects or f"{act.object}/" in objects), None)

    def _cause(self, event: Obj) -> Cause:
        received = datetime.fromisoformat(event["requestReceivedTimestamp"])
        return Cause(max(0.0, round((received - self._view.began).total_seconds(), 3)), printable(at(event, ("user", "username"), ""), 100),
                     event["verb"], printable(_object(event.get("objectRef") or {}), 200))  # fmt: skip

    def _watch_pods(self) -> None:
        """Pods that were ready when the game began, and those under attack."""
        known = {**{uid: key for key, uid in self._view.ready.items()}, **{p.uid: (p.namespace, p.name) for p in self._view.cast.pods("all")}}
        alive = {p["metadata"]["uid"] for p in self._view.stage.objects(PODS) if not at(p, ("metadata", "deletionTimestamp"))}
        for uid, (namespace, name) in known.items():
            if uid not in alive and uid not in self.endings:
                self.endings[uid] = Ending(f"{namespace}/{name}", self._now, self.cause)

    def _watch_leaks(self) -> None:
        suspect = self._view.stage.find(self._view.cast.suspect)
        policies = self._view.stage.objects(NETWORKPOLICIES, self._view.cast.suspect.namespace)
        found = {line(leak): None for leak in judge(suspect, policies)} if suspect else {}
        for what in found:
            spans = self.open.setdefault(what, [])
            if not spans or spans[-1][1] is not None:
                spans.append([self._now, None])
        for what, spans in self.open.items():
            if what not in found and spans[-1][1] is None:
                spans[-1][1] = self._now


def wrote(event: Obj) -> bool:
    """Whether somebody changed something by it: no controller, no refusal, and more than a token, a lease or an event was made."""
    about, user = event.get("objectRef") or {}, str(at(event, ("user", "username"), ""))
    controller = user.startswith(("system:", "kube-")) and not user.startswith("system:serviceaccount:")
    return (changes(event) and not controller and 200 <= at(event, ("responseStatus", "code"), 0) < 300
            and about.get("subresource") != "token" and about.get("resource") not in ("leases", "events"))  # fmt: skip


def _object(about: Obj) -> str:
    kind = about.get("resource", "") + (f"/{about['subresource']}" if about.get("subresource") else "")
    where = about.get("namespace", "") if about.get("resource") != "namespaces" else ""
    return f"{kind} {'/'.join(filter(None, (where, about.get('name', ''))))}".strip()


def spans(times: Sequence[tuple[float, bool]]) -> Iterator[tuple[float, float]]:
    """From attempts in the order of time, each with whether it got through: from when to when they did without a break."""
    began: float | None = None
    last = 0.0
    for when, through in times:
        if through:
            began, last = when if began is None else began, when
        elif began is not None:
            yield began, last
            began = None
    if began is not None:
        yield began, last
