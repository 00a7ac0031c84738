"""The lines of the journal."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from irkit.model.changes import Change
from irkit.model.evidence import SealedBag
from irkit.model.incident import Incident, Reported
from irkit.model.order import Decision, Order
from irkit.model.outcome import Outcome


class _Body(msgspec.Struct, frozen=True, tag_field="record", kw_only=True, forbid_unknown_fields=True):
    pass


class Opened(_Body, frozen=True, kw_only=True, tag="opened"):
    """The incident exists from here on."""

    incident: Incident
    playbook_source: str = ""  # the playbook as it was, so that `resume` runs the same one
    argv: tuple[str, ...] = ()
    tool_version: str = ""


class Approved(_Body, frozen=True, kw_only=True, tag="approved"):
    """Somebody said yes to exactly these intents (hex SHA-256 each), until ``expires`` (RFC 3339)."""

    steps: tuple[str, ...]
    digest: str
    intents: tuple[str, ...]
    by: str
    expires: str


class Refused(_Body, frozen=True, kw_only=True, tag="refused"):
    """Somebody said no."""

    steps: tuple[str, ...]
    by: str


class Intent(_Body, frozen=True, kw_only=True, tag="intent"):
    """What will be done, with its before-image, on disk before the write. ``call`` is unique in the journal."""

    call: str
    step: str
    run: str  # the invocation of irkit
    change: Change
    purpose: str = "do"  # do | lift
    before: dict[str, Any] = {}  # the before-image of what the change itself can't hold: HMACs, versions, serials


class Result(_Body, frozen=True, kw_only=True, tag="result"):
    """What became of an intent."""

    call: str
    outcome: Outcome


class StepEnded(_Body, frozen=True, kw_only=True, tag="step"):
    step: str
    run: str
    outcome: Outcome


class Sealed(_Body, frozen=True, kw_only=True, tag="sealed"):
    bag: SealedBag
    run: str


class Waived(_Body, frozen=True, kw_only=True, tag="waived"):
    """A human typed why these pods may end without their evidence."""

    pods: tuple[str, ...]  # uids
    reason: str
    by: str


class Extended(_Body, frozen=True, kw_only=True, tag="extended"):
    """The incident goes on further than it was opened for: more phases of its playbook, parameters that were not known then."""

    run: str
    phase: str  # as `Incident.phase`, from here on
    parameters: dict[str, Any] = {}  # these, besides those before


class Ran(_Body, frozen=True, kw_only=True, tag="ran"):
    """An invocation began (``event`` start), ended (end), or was interrupted."""

    run: str
    event: str  # start | end | interrupted
    command: str
    exit_code: int = 0
    data: dict[str, Any] = {}


class Told(_Body, frozen=True, kw_only=True, tag="told"):
    """What people reported after the incident was opened. What it does not say stays as it was."""

    run: str
    reported: Reported
    by: str


class Closed(_Body, frozen=True, kw_only=True, tag="closed"):
    """Lifted or closed: nothing is left to resume. ``left`` and ``reason``: closed though that was left, and why."""

    run: str
    how: str
    by: str = ""
    reason: str = ""
    left: tuple[str, ...] = ()


class Ordered(_Body, frozen=True, kw_only=True, tag="ordered"):
    """This run carries out an order: who asked for it, through which door, and who decided on it."""

    run: str
    order: Order
    decisions: tuple[Decision, ...] = ()


class Watched(_Body, frozen=True, kw_only=True, tag="watched"):
    """A watch began (``event`` began, ``until`` when), found that a check does not hold (drift) or holds again (over), or ended."""

    run: str
    event: str  # began | drift | over | ended
    until: str = ""  # RFC 3339
    check: str = ""
    summary: str = ""


class Assigned(_Body, frozen=True, kw_only=True, tag="assigned"):
    """Somebody has a role in the incident from here on; no ``name``: nobody has it."""

    run: str
    role: str
    name: str
    by: str


class Pushed(_Body, frozen=True, kw_only=True, tag="pushed"):
    """A sealed bag lies in an object store, as one tar; its checksum there was verified."""

    run: str
    bag: int
    url: str
    octets: int
    sha256: str  # of the tar
    manifest_sha256: str  # of the bag's tagmanifest-sha256.txt
    version: str = ""  # which the store gave it
    kept_until: str = ""  # RFC 3339: before that the store deletes it for nobody


Body: TypeAlias = (
    Opened | Extended | Approved | Refused | Intent | Result | StepEnded | Sealed | Waived | Ran | Told | Assigned | Ordered | Watched | Pushed
    | Closed
)  # fmt: skip


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line: its number, its time (RFC 3339), SHA-256 of the line before it (hex; zeros for the first), its body."""

    seq: int
    at: str
    prev: str
    body: Body
