"""Which policies were in force, and the labels by which they choose."""

from __future__ import annotations

from collections.abc import Iterator

from irkit.collectors.base import Asker, Read, kept, kept_list
from irkit.model.evidence import Piece, Scope
from irkit.model.kube import NAMESPACES, NETWORKPOLICIES
from irkit.ports import ClusterReader
from irkit.text import printable

_POLICIES = Read("list", NETWORKPOLICIES)
_NAMESPACES, _NAMESPACE = Read("list", NAMESPACES, "everywhere"), Read("get", NAMESPACES, "everywhere")


class Network:
    name = "network"
    volatility = 50
    reads = (_POLICIES, _NAMESPACES, _NAMESPACE)

    def collect(self, scope: Scope, cluster: ClusterReader, key: bytes) -> Iterator[Piece]:
        """All NetworkPolicies of the namespace; all namespaces, because policies choose peers by their labels."""
        ask, namespace = Asker(cluster, scope), scope.pod.namespace
        what = f"NetworkPolicies of namespace {printable(namespace)}"
        if (policies := ask.list(_POLICIES, what)) is not None:
            yield kept_list(("namespaces", namespace, "networkpolicies.json"), policies, what)
        if (namespaces := ask.list(_NAMESPACES, "labels of all namespaces")) is not None:
            yield kept_list(("cluster", "namespaces.json"), namespaces, "labels of all namespaces")
        elif not ask.missing[-1].transient and (own := ask.get(_NAMESPACE, namespace, f"Namespace {printable(namespace)}")):
            yield kept(own, NAMESPACES)
        yield from ask.missing
