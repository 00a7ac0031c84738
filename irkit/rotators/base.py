"""What a rotator is: the one who makes a new value for a kind of credential, stores it, delivers it, and ends the old one.

The documented six, as irkit divides them: `before` reads (and refuses what is the wrong store), `renew` is generate,
store, update the Kubernetes Secret; restarting is the step's; `retire` is verify and deactivate the old value.

Rules of every rotator:

- ``before`` writes nothing. What it returns goes into the journal before the first write, so it holds keyed HMACs,
  versions, serials: never a value. It is taken once; an interrupted run hands the same one back.
- ``renew`` can be killed between any two of its writes and called again with the same ``before``: it looks at what is
  there first. At no instant is the value that applications use one that nobody else knows: a database learns a new
  password only after it is stored as pending.
- ``retire`` proves what it says: the old value is `dead` only after a refused attempt with it.
- Values live in local variables of these methods. They are in no exception, log, argument vector, file or return value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeAlias

import msgspec

from irkit.errors import EndStateError
from irkit.model.credential import Credential, OldValue, fingerprint
from irkit.model.incident import Incident
from irkit.model.kube import Permission
from irkit.model.outcome import Done, Outcome
from irkit.ports import Kept, Observed, Ports
from irkit.rotators.shared import Shared

Before: TypeAlias = dict[str, Any]
"""Plain JSON, as it stands in the journal."""


class Tools(msgspec.Struct, frozen=True):
    """What a rotator may use."""

    ports: Ports
    incident: Incident
    key: bytes  # the incident's, for HMACs
    until: float  # on the clock's monotonic time: when waiting ends
    protect: tuple[str, ...] = ()  # fingerprints of old values: for a rotator that must not make the same one again
    kept: Kept = msgspec.field(default=lambda pods: {})  # the pods under quarantine are nobody whom a rotation could harm
    shared: Shared = msgspec.field(default_factory=Shared)  # what one batch asks once

    def print(self, value: bytes | str) -> str:
        """The HMAC of a value: what the journal may hold of it."""
        return fingerprint(value, self.key)

    def wait(self, met: Any, what: str, *, pause: float = 0.05, most: float = 1.0) -> Any:
        """What ``met`` returns once that is true, looking ever more slowly. Raises EndStateError with ``what`` when time is over."""
        clock = self.ports.clock
        while not (found := met()):
            if clock.monotonic() >= self.until:
                raise EndStateError(f"{what} within the step's time", next="irkit resume")
            clock.sleep(pause)
            pause = min(pause * 1.5, most)
        return found


def rotated(detail: str, proof: str = "") -> Done:
    """What `renew` returns when the new value is in force. A human's part left open is `Skipped`; the rest raises.

    ``proof``: which attempt with the old value was refused, where only `renew` could make it; `retire` finds it as ``before["proof"]``.
    """
    return Done(detail, {"outcome": "rotated", **({"proof": proof} if proof else {})})


def retired(old: OldValue, how: str) -> Done:
    """What `retire` returns: what became of the old value, and by which request and answer that is known."""
    return Done(f"old value {old}: {how}", {"oldValue": old, "how": how})


class Rotator(Protocol):
    @property
    def name(self) -> str:
        """As in the journal and the plan: ``vault-kv``."""

    @property
    def asks(self) -> bool:
        """Whether `renew` needs a person; such ones go one after another, the others at the same time."""

    def takes(self, credential: Credential, seen: Observed) -> bool:
        """Whether this one rotates such a credential. The first that does is chosen."""

    def permissions(self, credential: Credential) -> tuple[Permission, ...]:
        """The rights in the cluster that it needs, besides reading."""

    def notes(self, credential: Credential, seen: Observed) -> Iterator[str]:
        """What people should know before they say yes: sessions that end, who would undo it."""

    def before(self, credential: Credential, tools: Tools) -> Before:
        """The before-image. Raises RefusedError where the store and the cluster disagree, Declined where it is left to a human for now,
        IrkitError where it can't be read."""

    def renew(self, credential: Credential, before: Before, tools: Tools) -> Outcome: ...

    def retire(self, credential: Credential, before: Before, tools: Tools) -> Outcome: ...
