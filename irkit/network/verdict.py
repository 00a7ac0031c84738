"""Whether a pod is cut off by the NetworkPolicies of its namespace, and if not, what is left open.

The rules are those of https://kubernetes.io/docs/concepts/services-networking/network-policies/ :

* Policies are additive. What a pod may do is the union of the rules of all policies that select it; nothing denies.
* Only policies of the pod's own namespace select it.
* A direction is restricted as soon as one selecting policy has it in ``policyTypes``; one that no policy has is open.
* Without ``policyTypes`` a policy restricts ingress, and egress only if it has egress rules (SetDefaults_NetworkPolicy).
* A rule allows its peers on its ports; a missing or empty list of either means all of them. No rules: nothing is allowed.
* Pods of the host network are not reliably selected by any policy.

A rule counts as a leak even where no pod or named port matches it today: it may tomorrow, and the attacker may see to that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from irkit.model.kube import Obj, Value, annotations_of, at, labels_of, selects
from irkit.network import words
from irkit.network.cni import UNKNOWN, Cni, Connections, Enforcement
from irkit.text import plural, printable

Direction = Literal["ingress", "egress"]
Verdict = Literal["isolated", "leaks", "gone"]
DIRECTIONS: tuple[Direction, ...] = ("ingress", "egress")
MIRROR = "kubernetes.io/config.mirror"  # the kubelet's annotation on the API object of a static pod


class Leak(Value, frozen=True):
    """Something that the pod may still do. ``policy`` None: no policy forbids it; ``rule`` counts from 0."""

    policy: str | None  # namespace/name
    direction: Direction
    rule: int | None
    peer: str
    ports: str
    why: str


class Isolation(Value, frozen=True):
    """``verdict`` judges the policies only; ``enforcement`` and ``connections`` say what is known of the network plugin."""

    verdict: Verdict
    enforcement: Enforcement
    leaks: tuple[Leak, ...]
    connections: Connections
    cni: str = ""
    notes: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the end state holds: all closed, and no plugin that is known to ignore policies. A pod that is gone reaches nothing."""
        return self.verdict == "gone" or (self.verdict == "isolated" and self.enforcement != "none")


class Explained(Value, frozen=True):
    """Why one policy does or doesn't concern the pod."""

    policy: str
    selects: bool
    directions: tuple[Direction, ...]
    rules: tuple[int, ...]  # how many rules allow something, in the order of ``directions``
    why: str


def isolation(pod: Obj | None, policies: Sequence[Obj], cni: Cni = UNKNOWN) -> Isolation:
    """The verdict over ``pod``; None: there is no such pod any more."""
    if pod is None:
        return Isolation(verdict="gone", enforcement=cni.enforces, leaks=(), connections="cut", cni=cni.name)
    leaks = judge(pod, policies)
    notes = [cni.note] if cni.note else []
    if MIRROR in annotations_of(pod):
        notes.append("it is a static pod: the kubelet runs its containers whatever the API object says")
    return Isolation(verdict="leaks" if leaks else "isolated", enforcement=cni.enforces, leaks=leaks,
                     connections=cni.connections, cni=cni.name, notes=tuple(notes))  # fmt: skip


def sentence(isolation: Isolation) -> str:
    """The verdict on one line: what the policies do, what the plugin does about it, what becomes of open connections."""
    plugin = isolation.cni or "the network plugin"
    enforced = {
        "enforced": f"enforced by {plugin}",
        "none": f"{plugin} does not enforce policies",
        "unknown": "not known whether policies are enforced",
    }
    open_ones = {"cut": f"cut by {plugin}", "open": f"not cut by {plugin}", "unknown": "not known whether they are cut"}
    if isolation.verdict == "gone":
        return "gone: there is nothing left to cut off"
    judged = f"LEAKS: {_counted(isolation.leaks)}" if isolation.leaks else "isolated by policy in both directions"
    return f"{judged}; {enforced[isolation.enforcement]}; open connections: {open_ones[isolation.connections]}"


def line(leak: Leak) -> str:
    """A leak on one line, without its reason: ``egress: todo-app/allow-monitoring, rule 0 → namespace monitoring, TCP 9090``."""
    arrow = "→" if leak.direction == "egress" else "←"
    by = "no policy" if leak.policy is None else f"{leak.policy}, rule {leak.rule}"
    return f"{leak.direction}: {by} {arrow} {leak.peer}, {leak.ports}"


def _counted(leaks: Sequence[Leak]) -> str:
    """``ingress open``, ``3 rules of 1 policy let traffic through``."""
    parts = [f"{leak.direction} open" for leak in leaks if leak.policy is None]
    rules = [leak for leak in leaks if leak.policy is not None]
    if rules:
        owners = plural(len({leak.policy for leak in rules}), "policy")
        parts.append(f"{plural(len(rules), 'rule')} of {owners} {'lets' if len(rules) == 1 else 'let'} traffic through")
    return ", ".join(parts)


def selecting(pod: Obj, policies: Sequence[Obj]) -> tuple[Obj, ...]:
    """The policies that select ``pod``, in the given order."""
    labels, namespace = labels_of(pod), _namespace(pod)
    return tuple(p for p in policies if _namespace(p) == namespace and chooses(_selector(p), labels))


def chooses(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """``selects``, for policies that no API server has looked at: a malformed selector hides no policy and no peer either."""
    try:
        return selects(selector, labels)
    except (AttributeError, TypeError):
        return True


def judge(pod: Obj, policies: Sequence[Obj]) -> tuple[Leak, ...]:
    """Everything that ``policies`` leave open to ``pod``; empty where it is cut off in both directions."""
    if at(pod, ("spec", "hostNetwork")):
        return tuple(_open(d, "it uses the network of its node (hostNetwork), where no NetworkPolicy holds it") for d in DIRECTIONS)
    chosen, labels = selecting(pod, policies), labels_of(pod)
    covered = {d for p in chosen for d in directions(p)}
    leaks = [_open(d, f"no policy of namespace {printable(_namespace(pod))} restricts its {d}") for d in DIRECTIONS if d not in covered]
    return (*leaks, *(leak for p in chosen for leak in _allowed(p, labels)))


def more_open(pod: Obj, before: Mapping[str, str], after: Mapping[str, str], policies: Sequence[Obj]) -> bool:
    """Whether ``policies`` leave anything open to ``pod`` with the labels ``after`` that they did not with ``before``."""

    def left(labels: Mapping[str, str]) -> set[tuple[str | None, Direction, int | None]]:
        found = judge({**pod, "metadata": {**pod["metadata"], "labels": labels}}, policies)
        return {(leak.policy, leak.direction, leak.rule) for leak in found}

    return not left(after) <= left(before)


def explain(pod: Obj, policies: Sequence[Obj]) -> tuple[Explained, ...]:
    """For every policy of the pod's namespace: whether it selects the pod, and by what."""
    labels, namespace = labels_of(pod), _namespace(pod)
    return tuple(_explained(p, labels) for p in policies if _namespace(p) == namespace)


def directions(policy: Obj) -> tuple[Direction, ...]:
    """The directions that ``policy`` restricts, defaulted as the API server does."""
    types = at(policy, ("spec", "policyTypes"))
    if not types or not isinstance(types, list):
        return DIRECTIONS if at(policy, ("spec", "egress")) else ("ingress",)
    return tuple(d for d in DIRECTIONS if d.capitalize() in types)


def _namespace(obj: Obj) -> str:
    return (obj.get("metadata") or {}).get("namespace") or ""


def _selector(policy: Obj) -> Mapping[str, Any]:
    """``podSelector`` is no pointer in the API: absent is the same as empty, and selects every pod."""
    return at(policy, ("spec", "podSelector")) or {}


def _name(policy: Obj) -> str:
    return printable(f"{_namespace(policy)}/{(policy.get('metadata') or {}).get('name', '')}", 512)


def _open(direction: Direction, why: str) -> Leak:
    return Leak(policy=None, direction=direction, rule=None, peer=words.ANY_ADDRESS, ports=words.ALL_PORTS, why=why)


def _allowed(policy: Obj, labels: Mapping[str, str]) -> Iterator[Leak]:
    why = _because(_selector(policy), labels)
    for direction in directions(policy):
        for index, rule in enumerate(at(policy, ("spec", direction)) or ()):
            peers = words.peers(rule.get("from" if direction == "ingress" else "to"))
            yield Leak(policy=_name(policy), direction=direction, rule=index, peer=peers, ports=words.ports(rule.get("ports")), why=why)


def _because(selector: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """Why a selector that selects ``labels`` does. What it asks to be absent is the surprise, so that is said first."""
    text = words.selector(selector)
    if not text:
        return "its empty selector matches every pod of the namespace"
    absent = [r["key"] for r in selector.get("matchExpressions") or () if r.get("operator") in ("NotIn", "DoesNotExist")]
    missing = [key for key in absent if key not in labels]
    if missing:
        return f"its selector `{text}` also matches a pod without the label {printable(missing[0])}"
    return f"its selector `{text}` matches the pod's labels"


def _explained(policy: Obj, labels: Mapping[str, str]) -> Explained:
    selector, restricted = _selector(policy), directions(policy)
    chosen = selects(selector, labels)
    why = _because(selector, labels) if chosen else f"its selector `{words.selector(selector)}` does not match the pod's labels"
    rules = tuple(len(at(policy, ("spec", d)) or ()) for d in restricted)
    return Explained(policy=_name(policy), selects=chosen, directions=restricted, rules=rules, why=why)
