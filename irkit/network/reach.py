"""Whether one connection is allowed by the NetworkPolicies in force: the egress of its source and the ingress of its target.

What ``verdict`` says of policies holds here too; this adds peers and ports, by
https://kubernetes.io/docs/concepts/services-networking/network-policies/ and the comments of the API (networking/v1/types.go):

* Both ends must allow it. An end is asked only if it is a pod; answers to an allowed connection are allowed with it.
* ``podSelector`` alone means pods of the policy's namespace, ``namespaceSelector`` alone every pod of those namespaces, both
  together the chosen pods of the chosen namespaces. An ``ipBlock`` means the address, of pods too; some plugins (Cilium) leave pods out.
* Ports are the target's own, as they are after a Service has translated them. A name is looked up among the ports that the
  containers of the target pod declare; ``endPort`` makes a range that includes both its ends (KEP-2079).
* A pod always reaches itself, and it and its own node always reach each other.
* No policy holds pods of the host network. As peers they are their node's address: no selector and no port name finds them,
  as in most plugins.
* What is malformed, and so refused by an API server, is taken as open: to call closed what is open is the worse mistake.

AdminNetworkPolicy, BaselineAdminNetworkPolicy and ClusterNetworkPolicy are not judged here, and neither are the policies of plugins.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, TypeVar

from irkit.model.kube import Obj, Value, at, labels_of
from irkit.network.verdict import Direction, chooses, directions, selecting
from irkit.network.words import NAMESPACE_NAME
from irkit.text import printable

Protocol = Literal["TCP", "UDP", "SCTP"]
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
T = TypeVar("T")
_MOST_NAMES = 3  # of the policies that refuse


class Endpoint(Value, frozen=True):
    """One end of a connection: a pod, or an address that is no pod's. A pod that is gone has neither and reaches nothing."""

    pod: Obj | None = None
    namespace: Obj | None = None  # the pod's Namespace object; without it only its name is known to a namespaceSelector
    address: str = ""  # IPv4 or IPv6; default: the pod's own


class Flow(Value, frozen=True):
    """``why``: one sentence with the policy and rule (from 0) that let it through at each end, or with what refuses it."""

    allowed: bool
    why: str


class _Side(Value, frozen=True):
    """One pod's half of the question: may it in ``direction`` talk to ``peer``, on a port of ``target``?"""

    pod: Obj
    direction: Direction
    peer: Endpoint
    target: Obj | None  # whose containers name the port; None where it is no pod
    port: int
    protocol: Protocol


def flow(source: Endpoint, target: Endpoint, port: int, protocol: Protocol, policies: Sequence[Obj]) -> Flow:
    """Whether ``source`` may open a connection to ``port`` of ``target``.

    Args:
        policies: NetworkPolicies of any namespaces; those of other namespaces than the two pods' count for nothing.
    """
    for end in (source, target):
        if reason := _nowhere(end):
            return Flow(allowed=False, why=reason)
    if _same(source, target):
        return Flow(allowed=True, why=f"{_named(source)} always reaches itself")
    named = target.pod if _held(target) else None
    sides: list[tuple[Endpoint, Direction, Endpoint]] = [(source, "egress", target), (target, "ingress", source)]
    answers: list[str] = []
    for end, direction, peer in sides:
        if end.pod is None:
            continue
        if not _held(end):
            answers.append(f"{_named(end)} uses the network of its node (hostNetwork), where no NetworkPolicy holds it")
            continue
        side = _Side(pod=end.pod, direction=direction, peer=peer, target=named, port=port, protocol=protocol)
        answer = _judged(side, policies)
        if not answer.allowed:
            return answer
        answers.append(answer.why)
    return Flow(allowed=True, why="; ".join(answers) or "neither end is a pod, and policies hold only pods")


def _judged(side: _Side, policies: Sequence[Obj]) -> Flow:
    name, direction = _name(side.pod), side.direction
    if _on_own_node(side.pod, side.peer):
        return Flow(allowed=True, why=f"{name} and its own node always reach each other")
    restricting = [p for p in selecting(side.pod, policies) if direction in directions(p)]
    if not restricting:
        return Flow(allowed=True, why=f"no policy restricts the {direction} of {name}")
    for policy in restricting:
        for index, rule in enumerate(_entries(at(policy, ("spec", direction)))):
            if _allows(rule, _namespace(policy), side):
                return Flow(allowed=True, why=f"{_name(policy)}, rule {index}, allows the {direction} of {name}")
    names = ", ".join(_name(p) for p in restricting[:_MOST_NAMES])
    more = f" and {len(restricting) - _MOST_NAMES} more" if len(restricting) > _MOST_NAMES else ""
    way = f"to {_named(side.peer)}" if direction == "egress" else f"from {_named(side.peer)}"
    what = f"the {direction} of {name} {way}, {printable(f'{side.protocol} {side.port}')}"
    return Flow(allowed=False, why=f"no rule allows {what}; restricted by {names}{more}")


def _allows(rule: Any, namespace: str, side: _Side) -> bool:
    """Missing and empty lists mean all peers and all ports."""
    if not isinstance(rule, Mapping):
        return True
    peers, ports = _entries(rule.get("from" if side.direction == "ingress" else "to")), _entries(rule.get("ports"))
    return (not ports or any(_on(p, side) for p in ports)) and (not peers or any(_is(p, namespace, side.peer) for p in peers))


def _is(peer: Any, namespace: str, end: Endpoint) -> bool:
    """Whether a rule's ``peer`` means ``end``; ``namespace`` is the policy's."""
    if not isinstance(peer, Mapping):
        return True
    block, spaces, pods = peer.get("ipBlock"), peer.get("namespaceSelector"), peer.get("podSelector")
    if block is not None:
        return _within(block, end)
    if spaces is None and pods is None:
        return True
    if end.pod is None or not _held(end):
        return False
    if spaces is None:
        return _namespace(end.pod) == namespace and chooses(pods or {}, labels_of(end.pod))
    return chooses(spaces, _space(end)) and (pods is None or chooses(pods, labels_of(end.pod)))


def _space(end: Endpoint) -> dict[str, str]:
    """The labels of the pod's namespace. The API server sets the name on each, whatever else was written there."""
    return {**labels_of(end.namespace or {}), NAMESPACE_NAME: _namespace(end.pod or {})}


def _within(block: Any, end: Endpoint) -> bool:
    address, network = _address(_ip(end)), _network(at(block, ("cidr",)))
    if address is None or network is None:
        return True
    if address not in network:
        return False
    return not any(address in less for less in map(_network, _entries(at(block, ("except",)))) if less is not None)


def _on(port: Any, side: _Side) -> bool:
    """Whether an entry of ``ports`` means the connection's port. The protocol defaults to TCP; without a port it means all of them."""
    if not isinstance(port, Mapping):
        return True
    if (port.get("protocol") or "TCP") != side.protocol:
        return False
    first, last = port.get("port"), port.get("endPort")
    if isinstance(first, str):
        return _declared(first, side)
    if not isinstance(first, int):
        return True
    if last is None:
        return side.port == first
    return side.port >= first and (not isinstance(last, int) or side.port <= last)


def _declared(name: str, side: _Side) -> bool:
    """Whether a container of the target declares the port under this name. Sidecars are init containers that go on (FindPort, pod/util.go)."""
    spec = at(side.target, ("spec",), {})
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    return any(
        p.get("name") == name and p.get("containerPort") == side.port and (p.get("protocol") or "TCP") == side.protocol
        for container in (*(spec.get("containers") or ()), *sidecars)
        for p in container.get("ports") or ()
    )


def _nowhere(end: Endpoint) -> str:
    """Why nothing comes from or to this end; empty where something may."""
    phase = at(end.pod, ("status", "phase"))
    if phase in ("Succeeded", "Failed"):
        return f"{_named(end)} has ended ({phase})"
    if not _ip(end):
        return f"{_name(end.pod)} has no address (yet)" if end.pod else "one end has no address: its pod is gone"
    return "" if _address(_ip(end)) else f"{printable(_ip(end))} is not an IP address"


def _same(source: Endpoint, target: Endpoint) -> bool:
    if source.pod is None:
        return False
    if target.pod is None:
        address = _address(target.address)
        return address is not None and (address.is_loopback or address in _addresses(source.pod, "podIP", "podIPs"))
    return _identity(source.pod) == _identity(target.pod)


def _identity(pod: Obj) -> tuple[Any, ...]:
    return _namespace(pod), at(pod, ("metadata", "name")), at(pod, ("metadata", "uid"))


def _on_own_node(pod: Obj, peer: Endpoint) -> bool:
    """Whether ``peer`` is the node of ``pod``, or a process in that node's network."""
    if _held(peer):
        return False
    node = at(pod, ("spec", "nodeName"))
    return _address(_ip(peer)) in _addresses(pod, "hostIP", "hostIPs") or (node is not None and node == at(peer.pod, ("spec", "nodeName")))


def _held(end: Endpoint) -> bool:
    """Whether it is a pod with a network of its own: only those does a policy hold, and a selector find."""
    return end.pod is not None and not at(end.pod, ("spec", "hostNetwork"))


def _addresses(pod: Obj, one: str, all_of_them: str) -> set[_Address]:
    status = at(pod, ("status",), {})
    texts = [status.get(one), *(at(entry, ("ip",)) for entry in status.get(all_of_them) or ())]
    return {address for text in texts if (address := _address(text)) is not None}


def _ip(end: Endpoint) -> str:
    return end.address or str(at(end.pod, ("status", "podIP"), ""))


def _address(text: object) -> _Address | None:
    return _parsed(ipaddress.ip_address, text) if isinstance(text, str) else None


def _network(cidr: object) -> _Network | None:
    return _parsed(_loosely, cidr) if isinstance(cidr, str) else None


def _loosely(cidr: str) -> _Network:
    return ipaddress.ip_network(cidr, strict=False)  # the API takes 10.0.0.7/8, too


@lru_cache(2048)
def _parsed(parse: Callable[[str], T], text: str) -> T | None:
    try:
        return parse(text)
    except ValueError:
        return None


def _entries(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [] if found is None else [found]


def _namespace(obj: Obj) -> str:
    return str(at(obj, ("metadata", "namespace"), ""))


def _name(obj: Obj) -> str:
    return printable(f"{_namespace(obj)}/{at(obj, ('metadata', 'name'), '')}", 512)


def _named(end: Endpoint) -> str:
    return printable(end.address) if end.pod is None else _name(end.pod)
