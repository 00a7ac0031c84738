"""Kinds of evidence, one file each. A new kind is a new file and an entry in `COLLECTORS`."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from irkit.collectors.base import Collector, missing
from irkit.collectors.credentials import Credentials
from irkit.collectors.events import Events
from irkit.collectors.logs import Logs
from irkit.collectors.network import Network
from irkit.collectors.node import Node
from irkit.collectors.rbac import Rbac
from irkit.collectors.specs import Specs
from irkit.collectors.state import State
from irkit.errors import IrkitError
from irkit.model.evidence import Artefact, Piece, Scope
from irkit.model.kube import Permission
from irkit.ports import ClusterReader

COLLECTORS: tuple[Collector, ...] = (State(), Logs(), Events(), Specs(), Network(), Rbac(), Credentials(), Node())
NAMES = tuple(collector.name for collector in COLLECTORS)


def _chosen(take: Collection[str]) -> list[Collector]:
    return sorted((c for c in COLLECTORS if c.name in take), key=lambda c: c.volatility)


def collect(scope: Scope, take: Collection[str], cluster: ClusterReader, key: bytes) -> Iterator[Piece]:
    """The evidence of one pod, what vanishes first first (RFC 3227). A kind that fails is a gap; the others go on."""
    said: set[object] = set()
    for collector in _chosen(take):
        for piece in _pieces(collector, scope, cluster, key):
            name = piece.path if isinstance(piece, Artefact) else piece.what
            if name not in said:  # several kinds need the pod; it is kept, or missing, once
                said.add(name)
                yield piece


def _pieces(collector: Collector, scope: Scope, cluster: ClusterReader, key: bytes) -> Iterator[Piece]:
    try:
        yield from collector.collect(scope, cluster, key)
    except IrkitError as error:
        yield missing(f"{collector.name} of {scope.pod}", error)


def permissions(take: Collection[str], namespace: str) -> tuple[Permission, ...]:
    """What reading the evidence of pods in ``namespace`` needs, each once."""
    return tuple(dict.fromkeys(read.permission(namespace) for collector in _chosen(take) for read in collector.reads))
