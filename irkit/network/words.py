"""Peers, ports and selectors of NetworkPolicies in plain words. Everything is escaped: whoever wrote it may be the attacker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from irkit.text import printable

ANY_ADDRESS = "any address"
ALL_PORTS = "all ports"
NAMESPACE_NAME = "kubernetes.io/metadata.name"  # set by the API server on every namespace since 1.21 (KEP-2161)


def peers(entries: Sequence[Mapping[str, Any]] | None) -> str:
    """The ``from`` or ``to`` of a rule; absent or empty means every peer."""
    if not entries:
        return ANY_ADDRESS
    return _joined([_peer(e) for e in entries])


def ports(entries: Sequence[Mapping[str, Any]] | None) -> str:
    """The ``ports`` of a rule; absent or empty means every port. The protocol defaults to TCP."""
    if not entries:
        return ALL_PORTS
    return _joined([_port(e) for e in entries])


def selector(selector: Mapping[str, Any] | None) -> str:
    """A label selector as people write it: ``app=web, tier NotIn (db, cache)``; empty for one that selects everything."""
    chosen = selector or {}
    parts = [f"{k}={v}" for k, v in sorted((chosen.get("matchLabels") or {}).items())]
    for r in chosen.get("matchExpressions") or ():
        values = f" ({', '.join(map(str, r.get('values') or ()))})" if r.get("values") else ""
        parts.append(f"{r.get('key', '')} {r.get('operator', '')}{values}")
    return printable(", ".join(parts))


def _joined(parts: Sequence[str], most: int = 6) -> str:
    if len(parts) > most:
        return ", ".join(parts[:most]) + f" and {len(parts) - most} more"
    return ", ".join(parts)


def _peer(peer: Mapping[str, Any]) -> str:
    block, spaces, pods = peer.get("ipBlock"), peer.get("namespaceSelector"), peer.get("podSelector")
    if block is not None:
        less = block.get("except")
        return printable(block.get("cidr", "")) + (f" except {printable(', '.join(map(str, less)))}" if less else "")
    if spaces is None and pods is None:
        return ANY_ADDRESS  # the API refuses such a peer; one that got in must not look like less than everything
    where = "" if spaces is None else _namespaces(spaces)
    if pods is None:
        return where
    which = f"pods {selector(pods)}" if selector(pods) else "every pod"
    if spaces is None:
        return which if selector(pods) else "every pod of its namespace"
    return f"{which} in {where}"


def _namespaces(chosen: Mapping[str, Any]) -> str:
    text = selector(chosen)
    if not text:
        return "every namespace"
    labels = chosen.get("matchLabels") or {}
    if list(labels) == [NAMESPACE_NAME] and not chosen.get("matchExpressions"):
        return f"namespace {printable(labels[NAMESPACE_NAME])}"
    return f"namespaces {text}"


def _port(port: Mapping[str, Any]) -> str:
    protocol, number, end = port.get("protocol") or "TCP", port.get("port"), port.get("endPort")
    if number is None:
        return printable(f"{protocol} {ALL_PORTS}")
    return printable(f"{protocol} {number}-{end}" if end is not None else f"{protocol} {number}")
