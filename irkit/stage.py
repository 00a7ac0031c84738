"""The seam between a game and the cluster that it is played on; the sandbox implements it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from irkit.model.kube import Obj, ObjectRef, Resource


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


class Turns(Protocol):
    """Whose turn it is on a stage: one write after the other, each with all its consequences.

    ``due`` and ``act`` are the game's: when its next act is, and do it; ``look`` is called after each turn.
    """

    due: Callable[[], datetime | None]
    act: Callable[[], None]
    look: Callable[[], None]

    def take(self, moment: datetime | None = None) -> AbstractContextManager[datetime]:
        """A turn, now or at ``moment``."""

    def wait(self, seconds: float) -> None:
        """Let so many seconds of the game pass without waiting for them, with all that falls due in them."""
