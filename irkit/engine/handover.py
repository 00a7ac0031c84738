"""A copy of the journal in the cluster, so that a colleague on another machine can lift or resume (design.md §6).

The local journal stays the truth. What comes from the cluster is verified like any journal before it is believed, and,
where the cluster has a key for that (engine/signing.py), only where its signature is right. How far a copy had come is
also signed on the Lease of its target: who may write ConfigMaps alone can't set one back unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from irkit.engine import copies, journal, signing
from irkit.engine.copies import Copy, Seal, ref_of
from irkit.engine.holder import NAMESPACE, lease_of
from irkit.engine.home import Home
from irkit.engine.signing import Keys
from irkit.engine.state import State
from irkit.errors import EvidenceError, ForbiddenError, IrkitError, NotFoundError, RefusedError, UsageError
from irkit.model.incident import Incident
from irkit.model.kube import annotations_of
from irkit.model.record import Line, Opened
from irkit.ports import Cluster, ClusterReader
from irkit.text import printable

Say = Callable[[str], None]


def _silent(text: str) -> None:
    """Nobody is told."""


UNSIGNED = f"copies in {NAMESPACE} are not signed: whoever may write ConfigMaps there can change them (irkit doctor --create-signing-key)"
_COPY, _REACHED = "irkit.dev/journal-copy/v1", "irkit.dev/journal-reached/v1"


def publish(cluster: Cluster, state: State, path: Path, keys: Keys | None) -> tuple[str, dict[str, str]]:
    """Write the copy. Returns why it could not be, or nothing, and what to annotate the target's Lease with.

    A run never fails for want of its copy.
    """
    incident, loaded = state.incident, journal.read(path)
    content = path.read_bytes()[: loaded.size]
    seal = Seal(incident=incident.id, cluster=incident.cluster.uid, lines=len(loaded.lines), sha256=copies.digest(content))
    try:
        copies.write(cluster, incident.id, content, seal, keys.sign(_COPY, seal.signed()) if keys else "", over=bool(state.closed))
    except (ForbiddenError, NotFoundError, RefusedError) as error:
        return error.message, {}
    except IrkitError as error:
        return f"the copy in {NAMESPACE} was not written: {error.message}", {}
    return "", {_annotation(incident): f"{seal.lines} {keys.sign(_REACHED, _reached(incident, seal.lines))}"} if keys else {}


def fetch(cluster: Cluster, identifier: str, home: Home, say: Say = _silent) -> State:
    """Take over an incident of another machine.

    Raises UsageError where the cluster has none, EvidenceError where it is damaged or not signed as it must be, RefusedError
    where it was set back, ForbiddenError where the key may not be read.
    """
    copy = _named(cluster, identifier)
    keys = _keys(cluster)
    _check(cluster, copy, identifier, keys)
    if keys is None:
        say(UNSIGNED)
    _told(copy, identifier)
    _kept(home.create(identifier) / journal.NAME, copy.journal)
    return home.load(identifier)


def look(cluster: ClusterReader, identifier: str) -> tuple[State, tuple[Line, ...]]:
    """An incident as its copy in the cluster tells it; nothing is taken over. Raises as `fetch`."""
    copy = _named(cluster, identifier)
    _check(cluster, copy, identifier, _keys(cluster))
    return _told(copy, identifier)


def look_all(cluster: ClusterReader, *, over: bool) -> Iterator[tuple[str, State | IrkitError, bool]]:
    """Every incident that the cluster has a copy of, by its id, or why that can't be believed; and whether its signature was checked.

    ``over``: also those that are lifted or closed. Who may not read the key sees what is there, not checked: good to know, not to act upon.
    """
    keys: Keys | None = None
    refused: IrkitError | None = None
    for number, (name, copy) in enumerate(copies.read_all(cluster, over=over)):
        if number == 0:  # who has no copies needs no key
            try:
                keys = signing.keys(cluster)
            except (ForbiddenError, RefusedError) as error:
                refused = error
        if isinstance(copy, IrkitError) or isinstance(refused, RefusedError):
            yield name, copy if isinstance(copy, IrkitError) else refused, False  # type: ignore[misc]
            continue
        try:
            state, _ = _told(copy, "")
            _check(cluster, copy, state.incident.id, keys)
        except IrkitError as error:
            yield name, error, False
            continue
        yield state.incident.id, state, keys is not None


def caught_up(cluster: Cluster, state: State, home: Home, say: Say = _silent) -> State:
    """The incident of this machine, with what a colleague who took it over has done since.

    Raises RefusedError where both machines went on with it: then neither journal is the whole truth; or where a colleague's
    part is known to be missing. A copy that is not there, may not be read, is not of this very incident, or is not signed as
    it must be changes nothing, for nobody may stop an incident by writing one: the local journal is the truth.
    """
    identifier = state.incident.id
    path = home.journal(identifier)
    ours = path.read_bytes()[: journal.read(path).size]
    try:
        copy = copies.read(cluster, identifier)
    except (NotFoundError, ForbiddenError):
        return state
    except EvidenceError as error:
        say(f"{error.message}; it was not believed")
        return state
    try:
        keys = _keys(cluster)
    except (ForbiddenError, RefusedError) as error:
        say(f"{error.message}; the copy was not believed")
        return state
    try:
        _check(cluster, copy, identifier, keys, ours.count(b"\n"))
    except EvidenceError as error:
        say(error.message)
        return state
    theirs = copy.journal
    if ours.startswith(theirs) or ours.split(b"\n", 1)[0] != theirs.split(b"\n", 1)[0]:
        return state
    if not theirs.startswith(ours):
        raise RefusedError(f"incident {identifier} was gone on with on this machine and on another: neither journal is whole; nothing was changed",
                           next=f"irkit incident show {identifier}, here and there; then kubectl by the runbook")  # fmt: skip
    try:
        journal.parse(theirs, str(path))
    except EvidenceError:
        return state
    _kept(path, theirs)
    return home.load(identifier)


def _kept(path: Path, theirs: bytes) -> None:
    """A copy as this machine's journal: all of it, or what was there before."""
    new = path.with_name(f"{journal.NAME}.new")
    new.touch(mode=0o600)
    new.write_bytes(theirs)
    new.replace(path)


def _named(cluster: ClusterReader, identifier: str) -> Copy:
    try:
        return copies.read(cluster, identifier)
    except (NotFoundError, ForbiddenError) as error:
        raise UsageError(f"there is no incident {printable(identifier)} on this machine, and no copy in {NAMESPACE}: {error.message}",
                         next="irkit incident list") from None  # fmt: skip


def _keys(cluster: ClusterReader) -> Keys | None:
    try:
        return signing.keys(cluster)
    except ForbiddenError as error:
        raise ForbiddenError(f"copies of incidents can't be checked: {error.message}",
                             next=f"ask for the right to get Secret {signing.SECRET.name} in {NAMESPACE}") from None  # fmt: skip


def _check(cluster: ClusterReader, copy: Copy, identifier: str, keys: Keys | None, known: int = 0) -> None:
    """Whether somebody with the key wrote it, and whether it is as far as it was. ``known``: lines that are known here."""
    if keys is None:
        return
    seal = copy.seal
    if seal is None or not keys.genuine(_COPY, seal.signed(), copy.signature):
        raise EvidenceError(f"the copy of incident {printable(identifier)} in {NAMESPACE} is not signed with a key of Secret {signing.SECRET.name}: "
                            "somebody else wrote it, and nothing of it was taken over",
                            next=f"kubectl get configmap {ref_of(identifier).name} -n {NAMESPACE} -o yaml --show-managed-fields")  # fmt: skip
    state, _ = _told(copy, identifier)
    if (seal.incident, seal.cluster, seal.sha256) != (identifier, state.incident.cluster.uid, copies.digest(copy.journal)):
        raise EvidenceError(f"the copy of incident {printable(identifier)} in {NAMESPACE} is not what its signature is for; "
                            "nothing of it was taken over", next="irkit incident list")  # fmt: skip
    reached = _witness(cluster, state.incident, keys)
    if reached > max(seal.lines, known):
        raise RefusedError(f"the copy of incident {identifier} in {NAMESPACE} was set back: it has {seal.lines} lines, and had {reached}; "
                           "nothing of it was taken over",
                           next="go on at the machine that was last at it; who that was is in the audit log")  # fmt: skip


def _told(copy: Copy, identifier: str) -> tuple[State, tuple[Line, ...]]:
    """Raises EvidenceError where it is not a journal, or of another incident (``identifier`` empty: than its ConfigMap says)."""
    lines = journal.parse(copy.journal, f"the copy in {NAMESPACE}").lines
    state = State.of(lines if lines and isinstance(lines[0].body, Opened) else ())
    if state.opened is None:
        raise EvidenceError(f"the copy of incident {printable(identifier or copy.identifier)} in {NAMESPACE} does not begin with an incident")
    if state.incident.id != (identifier or state.incident.id) or ref_of(state.incident.id).name != f"irkit-{copy.identifier}"[:253]:
        raise EvidenceError(f"the copy of incident {printable(identifier or copy.identifier)} in {NAMESPACE} "
                            f"is of another incident, {printable(state.incident.id)}")  # fmt: skip
    return state, lines


def _witness(cluster: ClusterReader, incident: Incident, keys: Keys) -> int:
    """How many lines somebody with the key says that the copy had; 0 where nobody says so."""
    try:
        said = annotations_of(cluster.get(lease_of(incident))).get(_annotation(incident), "")
    except (NotFoundError, ForbiddenError):
        return 0
    count, _, signature = str(said)[:200].partition(" ")
    if not (count.isascii() and count.isdigit()) or not keys.genuine(_REACHED, _reached(incident, int(count)), signature):
        return 0
    return int(count)


def _annotation(incident: Incident) -> str:
    return f"copy.irkit.dev/{incident.short}"


def _reached(incident: Incident, lines: int) -> bytes:
    return f"{incident.id}\0{incident.cluster.uid}\0{lines}".encode()
