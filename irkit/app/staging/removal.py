"""Takes games' namespaces away again: at the end of a game, and what killed ones left behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from irkit.app.staging.ledger import LABEL, Ledger, Made, ours
from irkit.errors import ConflictError, ForbiddenError, NotFoundError, UnreachableError
from irkit.model.kube import NAMESPACES, Obj, ObjectRef, annotations_of, at, ref_of
from irkit.ports import Clock, Cluster, exists
from irkit.text import printable

UNTIL = "irkit.dev/game-until"
"""The annotation that says when a game is over at the latest."""
_WAIT = 60.0  # seconds for a namespace to go


Outcome: TypeAlias = Literal["removed", "hangs", "played", "other", "changed", "kept", "unreachable"]
"""``other``: somebody else's; ``changed``: recorded, and no longer what was made; ``kept``: of another machine, and nobody said to remove it."""


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """A namespace that bears a game's label, or should. ``why``: one printable sentence, where it is no matter of course."""

    namespace: str
    context: str
    outcome: Outcome
    why: str = ""


def remove(cluster: Cluster, ref: ObjectRef, clock: Clock, wait: float = _WAIT) -> None:
    """Delete a namespace, that very one where its uid is known, and see that it is gone. Raises UnreachableError with the reason if not."""
    try:
        cluster.delete(ref)
    except NotFoundError:
        return
    except ConflictError:
        found = exists(cluster, ref)
        if found is None:
            return  # another one has its name
        if not at(found, ("metadata", "deletionTimestamp")):
            raise
    until = clock.monotonic() + wait
    while (found := exists(cluster, ref)) is not None:
        if clock.monotonic() >= until:
            raise UnreachableError(f"namespace {printable(ref.name)} is ending and not gone after {wait:.0f} s: {hanging(found)}",
                                   next="irkit rehearse clean, when that is settled")  # fmt: skip
        clock.sleep(0.2)


def hanging(namespace: Obj) -> str:
    """Why a namespace does not end, in the words of its own conditions."""
    said = [str(c.get("message") or c.get("reason")) for c in at(namespace, ("status", "conditions"), ()) if c.get("status") == "True"]
    return printable("; ".join(said), 400) if said else "the cluster gives no reason"


class Cleaner:
    """Removes what is left on one cluster. ``sure`` is asked about each that this machine has no record of, and told whether its game is over."""

    def __init__(self, cluster: Cluster, clock: Clock, ledger: Ledger, context: str, uid: str, protected: Sequence[str],
                 sure: Callable[[str, bool], bool], *, wait: float = _WAIT) -> None:  # fmt: skip
        self._cluster, self._clock, self._ledger, self._context = cluster, clock, ledger, context
        self._uid, self._protected, self._sure, self._wait = uid, protected, sure, wait
        self._recorded = {made.namespace: made for made in ledger.open() if made.cluster == uid}

    def found(self) -> list[Obj]:
        """Namespaces with a game's label, and those that are recorded; that of each name which is there."""
        by_name: dict[str, Obj] = {}
        with suppress(ForbiddenError):  # those that are recorded can be asked for one by one
            by_name = {n["metadata"]["name"]: n for n in self._cluster.list(NAMESPACES, labels=LABEL)}
        for made in self._recorded.values():
            if made.namespace not in by_name:
                there = exists(self._cluster, ObjectRef(resource=NAMESPACES, name=made.namespace))
                if there is not None:
                    by_name[made.namespace] = there
        return [by_name[name] for name in sorted(by_name)]

    def recorded(self) -> list[str]:
        """The names of those that are there, recorded on this machine, and not played in."""
        return [n["metadata"]["name"] for n in self.found() if ours(n, self._recorded) == "recorded"
                and not self._ledger.played(self._recorded[n["metadata"]["name"]].id)]  # fmt: skip

    def clean(self) -> list[Left]:
        """What became of each. Ones that are recorded and gone are struck off."""
        there = self.found()
        names = {n["metadata"]["name"] for n in there}
        for made in [m for m in self._recorded.values() if m.namespace not in names and not self._ledger.played(m.id)]:
            self._ledger.write("removed", made, self._clock.now())
        return [self._one(namespace) for namespace in there]

    def _one(self, found: Obj) -> Left:
        name, why = found["metadata"]["name"], ours(found, self._recorded)
        made = self._recorded.get(name)
        if name in self._protected:
            return self._left(name, "other", "it is a protected namespace: left alone")
        if not why:
            if made is not None:
                return self._left(name, "changed", f"this machine made one of that name, and this is another one, or its label {LABEL} was changed")
            return self._left(name, "other", f"it bears the label {LABEL}, and irkit did not make it: left alone")
        if made is not None and self._ledger.played(made.id):
            return self._left(name, "played", "another process of this machine plays in it")
        if why == "made" and not self._sure(_question(found, self._clock.now()), over(found, self._clock.now())):
            return self._left(name, "kept", "it was made on another machine: left alone")
        try:
            remove(self._cluster, ref_of(found, NAMESPACES), self._clock, self._wait)
        except UnreachableError as error:
            return self._left(name, "hangs", error.message)
        if made is not None:
            self._ledger.write("removed", made, self._clock.now())
        return self._left(name, "removed", "")

    def _left(self, name: str, outcome: Outcome, why: str) -> Left:
        return Left(namespace=printable(name, 80), context=printable(self._context, 120), outcome=outcome, why=why)


def over(found: Obj, now: datetime) -> bool:
    """Whether its game is over by what it says itself; what says nothing that can be read is."""
    try:
        return datetime.fromisoformat(annotations_of(found).get(UNTIL, "")) <= now
    except (ValueError, TypeError):
        return True


def _question(found: Obj, now: datetime) -> str:
    name, until = printable(found["metadata"]["name"], 80), printable(annotations_of(found).get(UNTIL, "an unknown time"), 40)
    when = f"its game was over at {until}" if over(found, now) else f"its game may go on until {until}"
    return f"{name} was made by irkit on another machine; {when}. Remove it with all that is in it?"


def mine(made: Made) -> ObjectRef:
    return ObjectRef(resource=NAMESPACES, name=made.namespace, uid=made.uid)
