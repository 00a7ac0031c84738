"""An order: what somebody in a chat, or an alert, asks irkit to do. It waits in a queue that outlives every process.

    planning ──▶ waiting ──▶ queued ──▶ running ──▶ done | failed
       ▲            │                      │
       └────────────┼──────────────────────┘  the plan is not the approved one any more
                    └──▶ declined | expired

An order that needs nobody's approval (evidence only) begins as ``queued``. Whoever works on it is one process at a time.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from shlex import quote
from typing import Literal, TypeAlias

from irkit.model.kube import Value

SYSTEM_NAMESPACE = "irkit-system"
"""Where only responders may write: Leases, copies of journals, orders (design.md §6)."""

Command: TypeAlias = Literal["collect", "contain", "respond"]
Needs: TypeAlias = Literal["nobody", "one", "two"]  # "two": whoever approves is not who asked
State: TypeAlias = Literal["planning", "waiting", "queued", "running", "done", "failed", "declined", "expired"]
OVER: frozenset[str] = frozenset(("done", "failed", "declined", "expired"))
_INCIDENT = re.compile("[0-9]{8}T[0-9]{6}Z-[a-z0-9-]{1,60}")
_LENGTH = 12  # of an order's id
_MOST = 1_000_000  # processes: the number is in the name of a Job, and in no exponent without end
DRY_RUN = "dry-run"
"""The outcome of an order that nobody carries out: it is the record of what a rule would have ordered."""
_ALPHABET = "bcdfghjkmnpqrstvwxz23456789"  # as in the ids of incidents: no vowels, nothing that looks like another


class Origin(Value, frozen=True):
    """Through which door it came, and from whom. ``sender`` is what the door has verified, never what a text claims."""

    door: Literal["slack", "webhook", "cli"]
    sender: str  # Slack user id; name of the webhook's source; the cluster's name for a user
    shown: str = ""  # what people call the sender
    team: str = ""  # Slack workspace
    channel: str = ""  # where the answer goes
    thread: str = ""

    @property
    def label(self) -> str:
        """``ann (slack U012AB3CD)``."""
        return f"{self.shown} ({self.door} {self.sender})" if self.shown else f"{self.door} {self.sender}"


class Order(Value, frozen=True):
    """What is asked for. It does not change; its `Status` does."""

    id: str
    origin: Origin
    command: Command
    playbook: str
    target: str
    namespace: str
    cluster: str  # uid of kube-system: another cluster refuses it
    created: str  # RFC 3339, UTC
    expires: str  # from then on it is neither approved nor begun
    needs: Needs = "nobody"
    approvers: tuple[str, ...] = ()  # only these of the groups that the settings let approve it in a chat; empty: all of them
    phase: str = ""
    parameters: dict[str, str] = {}
    take: tuple[str, ...] = ()
    rule: str = ""  # the rule that made it
    because: str = ""  # what was reported: a stranger's words, one line

    @property
    def words(self) -> str:
        """As on the command line: ``contain backend-x2 -n todo-app``; all that makes it do more or something else."""
        name = f"respond {self.playbook}" if self.command == "respond" else self.command
        phase = f" --phase {quote(self.phase)}" if self.phase and self.command == "respond" else ""
        take = f" --take {quote(','.join(self.take))}" if self.take else ""
        return f"{name} {self.target} -n {self.namespace}{phase}{take}" + "".join(f" -p {quote(f'{k}={v}')}" for k, v in self.parameters.items())


class Decision(Value, frozen=True):
    """What somebody said to the plan of that digest."""

    by: Origin
    yes: bool
    at: str  # RFC 3339
    digest: str
    groups: tuple[str, ...] = ()  # door cli: of that user, as the cluster said then
    void: str = ""  # why it does not count any more


class Planned(Value, frozen=True):
    """What an approval binds: the digest of the plan, and each intent in it (hex SHA-256)."""

    digest: str
    intents: tuple[str, ...]
    lines: tuple[str, ...]  # for people, a change each
    warnings: tuple[str, ...] = ()


class Ended(Value, frozen=True):
    """What came of it, in short: the whole is in the incident."""

    outcome: str
    exit_code: int
    summary: str
    next: str = ""
    missing: tuple[str, ...] = ()
    missing_count: int = 0
    artefacts: int = 0
    bundle: str = ""  # where the first bag is, on the machine or volume of the worker
    manifest: str = ""  # SHA-256 of its tagmanifest-sha256.txt
    pushed: str = ""  # where a copy of it was put


class Status(Value, frozen=True):
    """Where an order stands. Only `irkit.app.orders` makes new ones."""

    state: State
    changed: str  # RFC 3339
    note: str = ""  # what is going on, one line
    incident: str = ""  # its id, chosen before it exists, so that a second attempt goes on with it
    planned: Planned | None = None
    decisions: tuple[Decision, ...] = ()
    worker: str = ""  # which process has it; empty: nobody
    beat: str = ""  # when that process last said so (RFC 3339)
    attempts: int = 0  # processes that began with what is to be done now
    begun: int = 0  # processes that ever began with this order: the number of the last one
    ended: Ended | None = None
    message: str = ""  # the chat's id of the one message that tells of it
    told: str = ""  # digest of what that message says

    @property
    def over(self) -> bool:
        return self.state in OVER

    @property
    def approvals(self) -> tuple[Decision, ...]:
        """Those that count, of the plan as it is now."""
        planned = self.planned
        return tuple(d for d in self.decisions if d.yes and not d.void and planned is not None and d.digest == planned.digest)


class Held(Value, frozen=True):
    """An order as the queue has it. ``version``: which write it is; an update names the one that it is based on."""

    order: Order
    status: Status
    version: str

    @property
    def recorded(self) -> bool:
        """Whether that is only the record of a dry run."""
        return self.status.ended is not None and self.status.ended.outcome == DRY_RUN


def sound(held: Held) -> bool:
    """Whether it is as irkit writes it. Whoever may write where orders are kept may write anything."""
    times = [held.order.created, held.order.expires, held.status.changed, *(d.at for d in held.status.decisions)]
    times += [held.status.beat] if held.status.beat else []
    counted = all(0 <= count < _MOST for count in (held.status.attempts, held.status.begun))
    if held.status.incident and not _INCIDENT.fullmatch(held.status.incident):  # it is the name of a directory
        return False
    return len(held.order.id) == _LENGTH and set(held.order.id) <= set(_ALPHABET) and counted and all(map(_is_time, times))


def _is_time(text: str) -> bool:
    """RFC 3339 with a zone."""
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def identifier(key: str) -> str:
    """The id of the order for ``key``, which names one event: who sees that event again makes the same order."""
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    found = []
    for _ in range(_LENGTH):
        number, rest = divmod(number, len(_ALPHABET))
        found.append(_ALPHABET[rest])
    return "".join(found)
