"""What irkit knows about a kind of workload: how to stop it without losing what was there, and how to tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Protocol

from irkit.model.changes import Change
from irkit.model.kube import Obj, ObjectRef, Resource
from irkit.ports import ClusterReader


class Workload(Protocol):
    """One workload as it is now. Built by `observe`; a value, whose further reads are lists of its namespace."""

    resource: ClassVar[Resource]

    @property
    def ref(self) -> ObjectRef: ...

    @property
    def object(self) -> Obj: ...

    @property
    def stopped(self) -> bool:
        """Whether it starts no pods."""

    @property
    def pods(self) -> Sequence[Obj]:
        """The pods that it owns now, through ReplicaSets and Jobs too. A detached pod is none of them."""

    @property
    def summary(self) -> str:
        """For the header: ``3 replicas``."""

    def ready(self) -> bool:
        """Whether it has as many ready pods as it wants and can have, of its newest generation."""

    def stop(self) -> Iterator[Change]:
        """The missing changes after which it starts no pods, each with the pods that it ends.

        Raises UsageError where another workload must be stopped instead.
        """

    def on_stop(self) -> Iterator[str]:
        """What stopping it does that nobody expects: ``3 → 0 replicas: Service shop/web will have no endpoints``."""

    def on_detach(self, suspect: ObjectRef) -> Iterator[str]:
        """What taking ``suspect`` from it does that nobody expects."""

    def warnings(self, suspect: ObjectRef | None) -> Iterator[str]:
        """`on_detach`, where there is a suspect, then `on_stop`."""

    def selector(self) -> Obj | None:
        """Its pod selector, if it has one."""


class WorkloadKind(Protocol):
    """The factory that `workloads.KINDS` holds."""

    @property
    def resource(self) -> Resource: ...

    def __call__(self, ref: ObjectRef, object: Obj, cluster: ClusterReader) -> Workload: ...
