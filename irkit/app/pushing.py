"""Sealed bags to an object store, each as one tar, and back to be verified.

The key is the incident, the number of the bag and the hash that binds the bag: the same bag has the same key, and another
one has another. What lies there under that key and is something else is never overwritten.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from irkit.engine.events import Said
from irkit.engine.home import Home
from irkit.engine.journal import Journal
from irkit.engine.state import State
from irkit.errors import ConflictError, EvidenceError, ForbiddenError, IrkitError, NotFoundError, RefusedError, UsageError
from irkit.evidence import verify as verifying
from irkit.evidence.manifests import Unusable, read_info
from irkit.evidence.packing import Packed, unpack
from irkit.evidence.paths import escaped
from irkit.evidence.sealing import sealed_bag
from irkit.model.record import Pushed
from irkit.ports import Clock, Ports
from irkit.ports.store import Deposit, ObjectStore, Stream
from irkit.settings import Settings
from irkit.settings.store import StoreSettings
from irkit.text import plural, printable

_BLOCK = 1 << 20
_FORM = re.compile(r"(?P<incident>[^/]+)/bag-(?P<bag>\d{1,6})-(?P<manifest>[0-9a-f]{64})\.tar")


@dataclass(frozen=True, slots=True)
class Copy:
    """A bag in the store, its content proved to be this machine's."""

    incident: str
    bag: int
    url: str
    octets: int
    sha256: str  # of the tar
    manifest: str  # SHA-256 of tagmanifest-sha256.txt
    version: str
    kept_until: str
    unchanged: bool  # it lay there already


def push_bag(store: ObjectStore, bag: Path, clock: Clock, configured: StoreSettings | None, expected: str = "") -> Copy:
    """Verify one sealed bag, and put it there. ``expected``: the hash that the journal has for it.

    Raises EvidenceError where the bag is not as it was sealed or the store has something else than was sent, RefusedError where
    another object has its key; UnreachableError, ForbiddenError.
    """
    report = verifying.verify(bag)
    manifest = sealed_bag(bag).manifest_sha256
    if not report.valid or not manifest:
        why = report.problems[0] if report.problems else "it has no tagmanifest-sha256.txt"
        raise EvidenceError(f"{printable(bag, 400)} is not as it was sealed ({why}); nothing was pushed",
                            next=f"irkit bundle verify {printable(bag, 400)}")  # fmt: skip
    if expected and manifest != expected:
        raise EvidenceError(f"{printable(bag, 400)} is not the bag that the journal has on record; nothing was pushed",
                            next=f"irkit bundle verify {printable(bag, 400)}")  # fmt: skip
    incident, number = _named(bag)
    key, name = _key(incident, number, manifest), f"{escaped(incident)}-bag-{number}"
    octets = Packed(bag, name).octets
    sha256 = _hashed(Packed(bag, name))
    keep, until = None, ""
    if configured is not None and configured.retention != "none":
        ends = clock.now() + timedelta(days=configured.retention_days)
        keep, until = (configured.retention, ends), ends.isoformat(timespec="seconds").replace("+00:00", "Z")

    def copy(found: Deposit, *, unchanged: bool) -> Copy:
        return Copy(incident, number, store.url(key), octets, sha256, manifest, found.version, "" if unchanged else until, unchanged)

    if (found := _there(store, key)) is not None:
        _same(store, key, found, octets, sha256)
        return copy(found, unchanged=True)
    try:
        found = store.put(key, Packed(bag, name), octets, {"irkit-sha256": sha256}, keep)
    except ConflictError:  # somebody else was quicker, or this key may not look
        found = _there(store, key) or Deposit(octets, "")
        try:
            _same(store, key, found, octets, sha256)
        except NotFoundError:
            raise RefusedError(f"{store.url(key)} was deleted there, and the store takes nothing else in its place",
                               next="restore the version that the store has kept, or push to another prefix") from None  # fmt: skip
        return copy(found, unchanged=True)
    if not found.verified:
        with store.get(key) as stream:
            if _hashed(stream) != sha256:
                raise EvidenceError(f"{store.url(key)} is not what was sent: its SHA-256 differs", next="irkit bundle push, to another bucket")
    return copy(found, unchanged=False)


def _named(bag: Path) -> tuple[str, int]:
    """The incident, as the bag says itself, and the bag's number, by its directory."""
    try:
        incident = next((value for label, value in read_info(bag / "bag-info.txt") if label == "External-Identifier"), "")
    except (OSError, Unusable):
        incident = ""
    name = bag.absolute().name
    return incident or "bag", int(name) if name.isascii() and name.isdigit() and len(name) < 7 else 1


def _there(store: ObjectStore, key: str) -> Deposit | None:
    """What has the key already; a key that may only write is not told."""
    try:
        return store.head(key)
    except ForbiddenError:
        return None


def _same(store: ObjectStore, key: str, found: Deposit, octets: int, sha256: str) -> None:
    if found.octets == octets:
        with store.get(key) as stream:
            if _hashed(stream) == sha256:
                return
    raise RefusedError(f"{store.url(key)} is there already and is something else; it was not overwritten",
                       next="compare it with the bag; then push to another prefix")  # fmt: skip


def _hashed(stream: Stream) -> str:
    found = hashlib.sha256()
    while block := stream.read(_BLOCK):
        found.update(block)
    return found.hexdigest()


def push_incident(settings: Settings, clock: Clock, store: ObjectStore, identifier: str) -> list[Copy]:
    """All sealed bags of an incident that this machine has; what was pushed goes into its journal. Raises as `push_bag`."""
    home = Home(settings.home)
    state = home.load(identifier)
    journal = Journal(home.journal(identifier), clock)
    try:
        return _all(settings, clock, store, state, journal.append)
    finally:
        journal.close()


def at_end(ports: Ports, state: State, note: Callable[[Pushed], object]) -> None:
    """At the end of a run: push its bags. A failure is said once, and changes nothing about the run."""
    if ports.store is None or not state.bags:
        return
    try:
        copies = _all(ports.settings, ports.clock, ports.store(""), state, note)
    except IrkitError as error:
        ports.listen(Said(f"the evidence was not pushed: {error.message}; irkit bundle push {state.incident.id}"))
        return
    if any(not copy.unchanged for copy in copies):
        ports.listen(Said(f"{plural(len(copies), 'bag')} pushed and verified: {copies[0].url}"))


def _all(settings: Settings, clock: Clock, store: ObjectStore, state: State, note: Callable[[Pushed], object]) -> list[Copy]:
    identifier, found = state.incident.id, []
    bags = Home(settings.home).directory(identifier) / "bags"
    for number, sealed in enumerate(state.bags, 1):
        if not (bags / str(number)).is_dir():
            continue  # a colleague's machine has it
        known, key = state.pushed.get(number), _key(identifier, number, sealed.manifest_sha256)
        if known is not None and known.manifest_sha256 == sealed.manifest_sha256 and _unmoved(store, key, known):
            found.append(
                Copy(identifier, number, known.url, known.octets, known.sha256, known.manifest_sha256, known.version, known.kept_until, True)
            )
            continue
        copy = push_bag(store, bags / str(number), clock, settings.store, sealed.manifest_sha256)
        if known is None or (known.url, known.sha256) != (copy.url, copy.sha256):
            run = state.runs[-1].run if state.runs else ""
            note(Pushed(run=run, bag=number, url=copy.url, octets=copy.octets, sha256=copy.sha256, manifest_sha256=copy.manifest,
                        version=copy.version, kept_until=copy.kept_until))  # fmt: skip
        found.append(copy)
    if not found:
        raise UsageError(f"this machine has no sealed bag of incident {printable(identifier)}", next=f"irkit incident show {printable(identifier)}")
    return found


def _unmoved(store: ObjectStore, key: str, known: Pushed) -> bool:
    """Whether what was pushed and verified is there still, by its version: then it need not be read again."""
    if not known.version or store.url(key) != known.url:
        return False
    found = _there(store, key)
    return found is not None and (found.version, found.octets) == (known.version, known.octets)


def fetched(store: ObjectStore, key: str, to: Path) -> Path:
    """The bag of that key, unpacked below ``to``. Raises NotFoundError, EvidenceError where it is not the bag that its key names."""
    named = _FORM.fullmatch("/".join(key.split("/")[-2:]))
    if named is None:
        raise UsageError(f"{printable(key, 300)} is not a key that irkit makes")
    with store.get(key) as stream:
        bag = unpack(stream, to)
    if sealed_bag(bag).manifest_sha256 != named["manifest"]:
        raise EvidenceError(f"{store.url(key)} holds another bag than its name says", next="compare the hash with the one in the journal")
    return bag


def _key(incident: str, number: int, manifest: str) -> str:
    return f"{escaped(incident)}/bag-{number}-{manifest}.tar"
