"""The seams between irkit's decisions and the outside. Adapters and the sandbox implement these; nothing else does.

`ClusterReader` has six methods and never grows one per fact: typed facts are pure functions over the objects it
returns. What can write is another type, so that a write inside `plan` does not type-check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import msgspec

from irkit.errors import NotFoundError
from irkit.model.kube import Obj, ObjectRef, Permission, Resource

if TYPE_CHECKING:
    from irkit.model.announcement import Announcement
    from irkit.model.changes import Change
    from irkit.model.evidence import Artefact, Gap, SealedBag, Stored
    from irkit.model.image import Scan, Signature
    from irkit.model.incident import ClusterIdentity, Incident, Operator
    from irkit.model.order import Decision, Order
    from irkit.ports.store import ObjectStore
    from irkit.settings import Settings


class WatchEvent(NamedTuple):
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: Obj


class ClusterReader(Protocol):
    """Reads of one cluster. Every method may raise ForbiddenError, UnreachableError, ApiError."""

    def get(self, ref: ObjectRef, *, subresource: str = "") -> Obj:
        """One object. Raises NotFoundError. The uid of ``ref`` is not looked at: the caller compares."""

    def list(self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = "") -> Sequence[Obj]:
        """All objects, over all pages, each with apiVersion and kind filled in. ``namespace`` None: all namespaces.

        ``labels`` and ``fields`` are selector strings of the API. Raises NotFoundError where the resource is not served.
        """

    def watch(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = "", timeout: float = 60.0
    ) -> Iterator[WatchEvent]:
        """What is there now as ADDED, then what changes, without a gap, until ``timeout`` seconds have passed."""

    def logs(self, pod: ObjectRef, container: str, *, previous: bool = False) -> AbstractContextManager[Iterator[bytes]]:
        """The whole log with timestamps, as received, streamed.

        Entering raises InvalidError (400: no such run), NotFoundError, ForbiddenError; iterating may raise UnreachableError.
        """

    def proxy(self, ref: ObjectRef, path: str) -> bytes:
        """GET through the API server's proxy to a node or pod, at most 16 MiB."""

    def can(self, permission: Permission) -> bool:
        """Whether the user may (SelfSubjectAccessReview)."""


def exists(cluster: ClusterReader, ref: ObjectRef) -> Obj | None:
    """The object, or None where there is none, or another one under its name (where ``ref`` has a uid)."""
    try:
        found = cluster.get(ref)
    except NotFoundError:
        return None
    return found if not ref.uid or found["metadata"]["uid"] == ref.uid else None


class Cluster(ClusterReader, Protocol):
    """A cluster that may be written to. Every write carries fieldManager=irkit; ``dry_run`` is the server's (dryRun=All)."""

    def create(self, resource: Resource, obj: Obj, *, subresource: str = "", dry_run: bool = False) -> Obj:
        """Raises ConflictError where the name is taken, InvalidError where validation or admission says no.

        ``subresource``: POST to that of the object which ``obj`` names, as to ``token`` of a ServiceAccount.
        """

    def patch(self, ref: ObjectRef, body: Obj, *, subresource: str = "", dry_run: bool = False) -> Obj:
        """JSON merge patch. Raises ConflictError where uid or resourceVersion in ``body`` is not the object's."""

    def delete(self, ref: ObjectRef, *, dry_run: bool = False) -> None:
        """Delete, with ``ref.uid`` as precondition where it is set. Raises NotFoundError, ConflictError."""


class Connection(Protocol):
    """Which cluster this is and who we are there."""

    @property
    def namespace(self) -> str:
        """The namespace of the context; ``default`` where it names none."""

    @property
    def warnings(self) -> Sequence[str]:
        """What people should know about the way to this cluster, as in certificates that are not verified."""

    def identify(self) -> ClusterIdentity:
        """Context, server, uid of kube-system, version, clock skew; asked once, then remembered."""

    def whoami(self) -> Operator:
        """The user as the API server sees it (SelfSubjectReview)."""


class EvidenceStore(Protocol):
    """The bags of one incident."""

    def open(self, number: int) -> BagWriter:
        """A new bag, or the unfinished one of that number with what it holds already."""

    def unfinished(self, number: int) -> bool:
        """Whether the bag of that number was begun and not sealed."""

    def sealed(self) -> Sequence[SealedBag]:
        """The bags that are sealed, by number."""

    @property
    def key(self) -> bytes:
        """The incident's own key for the HMACs of Secret values; never in a bag."""


class BagWriter(Protocol):
    """A bag being filled, by several threads at once. What is written stays, whatever happens to the process."""

    def add(self, artefact: Artefact) -> Stored | Gap:
        """Stream one artefact to disk, hashing in the same pass; kept as it is where its path is in the bag already.

        Raises EvidenceError where the disk does not take it.
        """

    def gap(self, gap: Gap) -> None: ...

    def seal(self, info: Mapping[str, str]) -> SealedBag:
        """Write manifests and tag files, then move the bag to its final name. Raises EvidenceError."""


class SecretReader(Protocol):
    """Reads of a Vault-compatible server, by its HTTP API's paths (without ``/v1/``).

    Every method may raise ForbiddenError (403), UnreachableError (sealed, no answer), ApiError. What it answers may hold
    secret values: it stays within one function of a rotator.
    """

    @property
    def where(self) -> str:
        """Address and namespace, for people."""

    def read(self, path: str, *, params: Mapping[str, str] | None = None) -> Obj:
        """The whole answer of GET. Raises NotFoundError."""

    def list(self, path: str) -> Sequence[str]:
        """The keys of LIST; none where there is nothing."""


class SecretStore(SecretReader, Protocol):
    """A Vault-compatible server that may be written to."""

    def write(self, path: str, data: Obj) -> Obj:
        """The answer of POST; empty where there is none. Raises ConflictError where check-and-set says no, InvalidError (400)."""

    def delete(self, path: str) -> None: ...


class Database(Protocol):
    """One database whose logins irkit may rotate."""

    def login(self, user: str, password: str) -> bool:
        """Whether the server lets them in; False only where it refused the password itself. Raises UnreachableError."""

    def set_password(self, user: str, password: str) -> None:
        """``ALTER ROLE … PASSWORD`` as the administrator, over verified TLS. Raises InvalidError, ForbiddenError, UnreachableError."""


class Vaults(Protocol):
    """Everything outside the cluster that makes or keeps credentials. Connects on first use; raises UsageError where it is not set up."""

    def vault(self) -> SecretStore: ...

    def database(self, name: str) -> Database: ...

    def call(self, command: str, request: bytes, timeout: float) -> bytes:
        """Run the settings' command of that name, ``request`` on its stdin; its stdout. Raises UnreachableError, ApiError."""


class Outward(Protocol):
    """What irkit may look at outside the cluster while it brings an application back. Reads only."""

    def resolve(self, image: str) -> str:
        """The digest that an image's tag names at its registry now. Raises NotFoundError, ForbiddenError, UnreachableError, ApiError."""

    def scan(self, image: str) -> Scan | None:
        """What a scanner on this machine finds in it; None where there is none. Raises UnreachableError, ScannerError."""

    def signed(self, image: str) -> Signature | None:
        """Whether it is signed as the settings want; None where they want nothing. Raises UnreachableError, ScannerError."""

    def http(self, url: str, timeout: float) -> int:
        """The status of one GET, redirects not followed. Raises UnreachableError."""

    def tcp(self, host: str, port: int, timeout: float) -> None:
        """Open a connection and close it. Raises UnreachableError."""


class Notifier(Protocol):
    def send(self, to: Sequence[str], message: str, incident: Incident) -> str:
        """Deliver to each of ``to`` (contacts by label, role or name; mail addresses); returns how, for the journal.

        Raises UndeliveredError, which says to whom not. The same message of the same incident may come twice.
        """


class Announcer(Protocol):
    """Whoever is told what happens to an incident without a playbook's step: pagers, ticket systems."""

    def tell(self, announcement: Announcement) -> None:
        """Begin to tell; returns at once, and never fails."""

    def wait(self) -> Sequence[str]:
        """Until everybody was told or was not: sentences on who was not, and why."""


class Approver(Protocol):
    """Whoever answers questions: a person at a terminal, ``--yes``, a rehearsal."""

    name: str
    interactive: bool  # whether a person reads what is shown before the question

    def confirm(self, question: str, changes: Sequence[Change] = ()) -> bool:
        """``changes``: what the question is about, where that was planned. Raises Declined where nobody can be asked."""

    def answer(self, instruction: str) -> str | None:
        """What a human says after doing something; None when declined."""

    def secret(self, name: str, prompt: str) -> str | None:
        """A value that only a human has, such as a vendor's new API key, from a hidden prompt or a file; None when declined.

        ``name`` as in ``backend-secret/GROQ_API_KEY``. Raises Declined where nobody can be asked.
        """


class Clock(Protocol):
    def now(self) -> datetime:
        """The time, with zone UTC."""

    def monotonic(self) -> float:
        """Seconds that only go forward."""

    def sleep(self, seconds: float) -> None: ...


Kept = Callable[[Sequence[Obj]], Mapping[str, str]]
"""Of these pods, those that an incident keeps as evidence: by uid, the incident's id. By journals, whatever labels say."""


class Observed(msgspec.Struct, frozen=True):
    """All that `plan` may look at. ``marks`` are the keys of what was done and leaves no other trace."""

    cluster: ClusterReader
    now: datetime
    settings: Settings
    marks: frozenset[str] = frozenset()
    step: str = ""  # id of the step that is planned
    run: str = ""  # the invocation of irkit
    captured: frozenset[str] = frozenset()  # uids of pods whose evidence is stored or waived by a human
    begun: tuple[Change, ...] = ()  # writes of this incident that may be in force, oldest first; rotations; new images
    restarts: Mapping[str, int] = {}  # by "uid of the pod/container": the restart counts when the workload was back
    befores: Mapping[str, Mapping[str, object]] = {}  # by credential's id: its before-image
    outward: Outward | None = None  # only where a check is judged
    prints: Callable[[bytes], str] | None = None  # the incident's keyed HMAC, in hex; only where a check is judged
    kept: Kept = msgspec.field(default=lambda pods: {})


Listener = Callable[[object], None]  # takes the events of engine/events.py


class Ports(msgspec.Struct, frozen=True):
    cluster: Cluster
    connection: Connection
    clock: Clock
    approver: Approver
    notifier: Notifier
    settings: Settings
    evidence: Callable[[str], EvidenceStore]  # by incident id
    vaults: Vaults
    outward: Outward | None = None
    listen: Listener = msgspec.field(default=lambda event: None)
    argv: tuple[str, ...] = ()
    store: Callable[[str], ObjectStore] | None = None  # by ``s3://bucket/prefix``, or the settings' where that is empty
    announcer: Announcer | None = None
    ordered: tuple[Order, tuple[Decision, ...]] | None = None  # the order that this run carries out, and who decided on it
