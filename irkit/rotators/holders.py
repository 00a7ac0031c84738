"""Where the values of one credential are kept: an entry of Vault's KV engine, or a Secret of the cluster.

A holder knows the way of a new value that nobody can lose: it is proposed (kept as *pending*, where applications do not
look), whoever must learn it learns it, and it is promoted in one write. What needs no such detour is written at once.
Each write is for the state that was read; a change by somebody else in between is an error, and theirs stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from irkit.errors import EndStateError, RefusedError
from irkit.model.credential import Credential, OldValue
from irkit.rotators.base import Tools
from irkit.text import printable

Values: TypeAlias = Mapping[str, bytes]
"""By key of the Secret; in an entry without one, by property."""

Prints: TypeAlias = Mapping[str, str]
"""HMACs of values, by key: what the journal may hold."""

Printer: TypeAlias = Callable[[bytes], str]


class Kept:
    """What was there when a holder was read. It holds values: it stays in local variables, and shows none."""

    __slots__ = ("pending", "state", "values", "version")

    def __init__(self, values: Values, pending: Values, version: str, state: Any = None) -> None:
        self.values, self.pending = dict(values), dict(pending)
        self.version = version  # for people and the journal; empty where there are none
        self.state = state  # the holder's own, to write for exactly this

    def __repr__(self) -> str:
        return f"Kept({', '.join(sorted(self.values))})"


class Holder(Protocol):
    """One place. Every method may raise ForbiddenError, UnreachableError, ApiError."""

    @property
    def where(self) -> str:
        """For people: ``Vault entry secret/prod/shop``; printable."""

    def read(self) -> Kept:
        """What is there now. Raises EndStateError where the place or one of the keys is not there."""

    def propose(self, kept: Kept, values: Values) -> Kept:
        """Keep these as pending. Raises RefusedError where somebody else changed the values since ``kept``."""

    def write(self, kept: Kept, values: Values) -> Kept:
        """Put these in force in one write, with which their pending ones are gone. Raises RefusedError as `propose`."""

    def drop(self, kept: Kept) -> Kept:
        """Forget what is pending."""

    def mark(self, kept: Kept) -> str:
        """Leave the incident's mark beside the value. Returns why that was not possible; empty: it was."""

    def retire(self, old: Prints, printer: Printer, version: str) -> tuple[OldValue, str]:
        """Make what is left of the old values unreadable, and prove it. ``version``: the one that held them at first."""


def open_holder(credential: Credential, tools: Tools) -> Holder:
    """Where this credential's values are kept. Raises EndStateError where that is no place that irkit can write to."""
    source = credential.source
    if source.kind == "kubernetes":
        from irkit.rotators.secret import KubeSecret

        return KubeSecret(credential, tools)
    if source.provider in ("", "vault") and source.mount and source.path:
        from irkit.rotators.kv import KvEntry

        return KvEntry.of(credential, tools)
    place = f"provider {source.provider}" if source.provider else f"source {source.kind}"
    raise EndStateError(f"{credential.name} is kept where irkit can't write ({printable(place)})", next="give it a command in the settings")


def promote(holder: Holder, kept: Kept) -> Kept:
    """Put in force what is pending."""
    return holder.write(kept, kept.pending)


def prints(values: Values, tools: Tools) -> dict[str, str]:
    return {key: tools.print(value) for key, value in values.items()}


def taken(where: str) -> RefusedError:
    """Somebody else wrote first."""
    return RefusedError(f"{where} was changed by somebody else meanwhile; theirs is kept, irkit wrote nothing over it", next="irkit resume")
