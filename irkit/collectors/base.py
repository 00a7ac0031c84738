"""What a kind of evidence is. A collector yields pieces lazily; nothing is read before its piece is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from irkit.model.evidence import Piece, Scope
from irkit.ports import ClusterReader


class Collector(Protocol):
    name: str  # as in `take: [...]`
    volatility: int  # order of volatility (RFC 3227): the lowest is taken first

    def collect(self, scope: Scope, cluster: ClusterReader, key: bytes) -> Iterator[Piece]:
        """Artefacts and gaps of one pod. ``key``: for the HMACs of Secret values. Raises IrkitError only for the whole."""
