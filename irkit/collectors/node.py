"""The node that the pod runs on: its versions, addresses, conditions and taints."""

from __future__ import annotations

from collections.abc import Iterator

from irkit.collectors.base import Asker, Read, kept
from irkit.model.evidence import Piece, Scope
from irkit.model.kube import NODES
from irkit.ports import ClusterReader
from irkit.text import printable

_NODE = Read("get", NODES, "everywhere")


class Node:
    name = "node"
    volatility = 70
    reads = (_NODE,)

    def collect(self, scope: Scope, cluster: ClusterReader, key: bytes) -> Iterator[Piece]:
        """``cluster/nodes/NAME.json``; nothing for a pod that was never given a node."""
        ask = Asker(cluster, scope)
        if scope.node and (node := ask.get(_NODE, scope.node, f"Node {printable(scope.node)}")):
            yield kept(node, NODES)
        yield from ask.missing
