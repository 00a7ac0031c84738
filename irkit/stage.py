"""The seam between a game and the cluster that it is played on; the sandbox implements it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Literal, Protocol

from irkit.model.kube import Obj, ObjectRef, Resource, Value


class Origin(Value, frozen=True):
    """What a world began with beside its scenario and seed: enough to make the same one again.

    ``key`` (hex) signs the tokens of this world's ServiceAccounts, ``authority`` is the certificate in Secrets of theirs; no player is
    let in by either.
    """

    began: datetime
    cluster: str
    key: str
    authority: str


class Asked(Value, frozen=True):
    """One thing that players did, ``at`` so many milliseconds after the clock started, as it is kept to be done again.

    ``api`` and ``vault`` are requests that write, ``read`` is one that only read (its answer is kept, not asked for again), ``turn``
    is time that passed, ``command`` a line that somebody typed; ``end`` is the end of the game, with the score as its ``code``.
    ``who``: the user; of the Vault, how its client came by its token.
    """

    at: int
    server: Literal["api", "vault", "read", "turn", "command", "end"]
    who: str = ""
    groups: tuple[str, ...] = ()
    method: str = ""
    path: str = ""
    headers: dict[str, str] = {}
    body: str = ""
    base64: bool = False  # the body is, as it was no text
    code: int = 0
    stage: str = ""


def by_person(event: Obj) -> bool:
    """Whether an audit event is of nobody whom a cluster has by itself, as far as the name tells."""
    return not str((event.get("user") or {}).get("username", "")).startswith(("system:", "kube-"))


class Stage(Protocol):
    """A cluster that is played on: what a game sees and does there behind its players' backs.

    Looking leaves no trace in ``asked``. What is done returns whether there was something to do it to.
    """

    @property
    def suspect(self) -> tuple[str, str]:
        """Namespace and name of the pod under attack."""

    def cast(self, namespace: str, name: str) -> None:
        """Another pod is the suspect."""

    @property
    def images(self) -> Mapping[str, str]:
        """By name, as ``patched``: images by digest."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables by which irkit, kubectl and bao find the cluster and its Vault."""

    @property
    def asked(self) -> Sequence[Obj]:
        """Every request so far, as audit.k8s.io/v1 at level Metadata."""

    def plays(self, event: Obj) -> bool:
        """Whether somebody who plays asked that: not the game itself, and none of the cluster's own."""

    @property
    def version(self) -> int:
        """Higher after each write."""

    def now(self) -> datetime: ...

    def objects(self, resource: Resource, namespace: str | None = None) -> Sequence[Obj]:
        """None where the resource is not served."""

    def find(self, ref: ObjectRef) -> Obj | None: ...

    def kinds(self) -> dict[str, Resource]:
        """What is served, by kind."""

    def entry(self, path: str) -> Mapping[str, object]:
        """The properties of a Vault entry, by the path of its API (``secret/data/prod/app``); none where there is none."""

    def accepts(self, role: str, password: str) -> bool:
        """Whether the database lets them in."""

    def fill(self, path: str, properties: Mapping[str, str]) -> None:
        """Write an entry below secret/ of the Vault."""

    def put(self, obj: Obj) -> None:
        """Make it, or merge it into what is there. Raises KeyError where its kind is not served, ValueError where it can't be."""

    def change(self, ref: ObjectRef, body: Obj) -> bool:
        """Merge ``body`` (RFC 7386)."""

    def end(self, ref: ObjectRef) -> bool:
        """Delete it as the API would."""

    def say(self, namespace: str, pod: str, text: str) -> bool:
        """A line in the log of its first container."""

    def crash(self, namespace: str, pod: str) -> bool:
        """Its first container ends and starts again."""

    def steal(self, namespace: str, account: str, pod: str = "") -> str:
        """A token of a ServiceAccount, good for as long as that one lives, or the pod; empty where there is none."""

    def use(self, token: str, method: str, path: str, body: Obj | None = None) -> int:
        """A request with a stolen token; the status of the answer."""

    def seal(self, sealed: bool) -> None:
        """Seal or unseal the Vault."""


class Repeatable(Stage, Protocol):
    """A stage whose world can be made again, and to which others can be let in: it is ours alone."""

    def admit(self, name: str) -> Mapping[str, str]:
        """Another responder, who may do all that the first one may: the `environment` of his own terminal, in which he is called ``name``."""

    @property
    def origin(self) -> Origin: ...

    def digest(self) -> str:
        """SHA-256 of the whole world, in hex: objects, the Vault's entries, the database's logins, logs."""

    def again(self, asked: Asked) -> None:
        """Do it again, at its time. Raises ValueError for what can't have been asked."""


class Turns(Protocol):
    """Whose turn it is on a stage: one write after the other, each with all its consequences.

    ``due`` and ``act`` are the game's: when its next act is, and do it; ``look`` is called after each turn; ``heard`` gets all that
    must be done again to make the same world.
    """

    due: Callable[[], datetime | None]
    act: Callable[[], None]
    look: Callable[[], None]
    heard: Callable[[Asked], None]

    def begin(self) -> None:
        """Until now no time passed. From now on it does."""

    def take(self, moment: datetime | None = None) -> AbstractContextManager[datetime]:
        """A turn, now or at ``moment``."""

    def still(self) -> AbstractContextManager[None]:
        """No turn, but nobody else has one meanwhile."""

    def wait(self, seconds: float) -> None:
        """Let so many seconds of the game pass without waiting for them, with all that falls due in them."""
