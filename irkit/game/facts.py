"""What a drill takes over from a real incident: numbers, and words that Kubernetes and irkit know. Nothing that somebody wrote is copied."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from irkit.engine.state import State
from irkit.errors import UsageError
from irkit.game import reverting
from irkit.model.changes import Patch, Rotate
from irkit.model.kube import Obj, at, dicts, selects
from irkit.model.record import Intent, Line, Sealed, StepEnded
from irkit.text import printable

NAME, OTHER = "web", "db"
"""How a drill calls the suspect's application, and whatever else there was."""
_KINDS = ("Deployment", "StatefulSet", "DaemonSet", "Job")
_LARGEST = 32 * 1024 * 1024  # bytes of a file of a bag that is read
_PODS, _POLICIES, _RULES, _KEYS, _PORTS = 10, 5, 5, 5, 10


class Facts(msgspec.Struct, frozen=True):
    """What a drill takes over from an incident. ``minutes``: how long after its beginning each stage was complete."""

    kind: str  # of the workload; Pod: a bare one
    pods: int = 1
    policies: tuple[Obj, ...] = ()
    keys: int = 0  # of Secrets that were rotated
    token: bool = False  # whether the ServiceAccount's token was
    scaler: bool = False  # whether an autoscaler fought back
    minutes: dict[str, int] = {}
    gone: bool = False  # before anybody looked
    host: bool = False  # the pod was in the network of its node
    gitops: str = ""  # what puts it back: argocd, flux

    @property
    def comes_back(self) -> bool:
        """Whether it can be stopped, and brought back with another image."""
        return self.kind in ("Deployment", "StatefulSet")


def read(state: State, lines: Sequence[Line], bags: Path) -> Facts:
    """From the journal and the bags beside it. Raises UsageError for an incident that was about no pod."""
    target = state.incident.target
    if not target.is_pod:
        raise UsageError(f"a drill is drafted from an incident about a pod, and this one is about a {printable(target.pod.kind, 60)}",
                         next="irkit incident list")  # fmt: skip
    kind = target.workload.kind if target.workload else "Pod"
    rotated = {c.id: c for c in (i.change.credential for i in _intents(lines) if isinstance(i.change, Rotate))}
    return Facts(
        kind=kind if kind in _KINDS else "Pod" if kind == "Pod" else "Job" if kind == "CronJob" else "Deployment",
        pods=min(_PODS, max(1, len(target.siblings))),
        policies=tuple(_policies(bags, target.labels)),
        keys=min(_KEYS, sum(len(c.keys) for c in rotated.values() if c.ref.kind == "Secret")),
        token=any(c.ref.kind == "ServiceAccount" for c in rotated.values()),
        scaler=any(i.change.ref.kind == "HorizontalPodAutoscaler" for i in _intents(lines) if hasattr(i.change, "ref")),
        minutes=_minutes(state, lines), gone=target.gone, host=target.host_network,
        gitops=reverting.tool(i.change.ref.kind for i in _intents(lines) if isinstance(i.change, Patch)),
    )  # fmt: skip


def _intents(lines: Sequence[Line]) -> Iterator[Intent]:
    return (line.body for line in lines if isinstance(line.body, Intent))


def _minutes(state: State, lines: Sequence[Line]) -> dict[str, int]:
    """By what irkit wrote down, rounded up."""
    last: dict[str, str] = {}
    rotating = {intent.step for intent in _intents(lines) if isinstance(intent.change, Rotate)}
    for line in lines:
        body = line.body
        if isinstance(body, Sealed):
            last.setdefault("evidence", line.at)
        elif isinstance(body, StepEnded):
            if body.step == "cut-network":
                last.setdefault("contain", line.at)
            elif body.step in rotating:
                last["rotate"] = line.at
            elif body.step in ("redeploy", "prove-recovery"):
                last["recover"] = line.at
    began = _time(state.incident.opened)
    times = {stage: _time(when) for stage, when in last.items()}
    return {stage: max(1, math.ceil((when - began).total_seconds() / 60)) for stage, when in times.items() if began and when} if began else {}


def _time(text: str) -> Any:
    """None for what is no time: a journal may have been edited and chained anew."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def _policies(bags: Path, labels: dict[str, str]) -> Iterator[Obj]:
    """The shape of those that selected the suspect, from the first bag that has any."""
    for file in sorted(bags.glob("*/data/namespaces/*/networkpolicies.json")):
        try:
            if file.stat().st_size > _LARGEST:
                continue
            listed = dicts(at(msgspec.json.decode(file.read_bytes()), ("items",)))
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        chosen = [spec for spec in dicts([item.get("spec") for item in listed]) if _chooses(spec, labels)]
        yield from (_policy(spec) for spec in chosen[:_POLICIES])
        return


def _chooses(spec: Obj, labels: dict[str, str]) -> bool:
    try:
        return selects(spec.get("podSelector") or {}, labels)
    except (AttributeError, KeyError, TypeError, ValueError):
        return False


def _policy(spec: Obj) -> Obj:
    given = spec.get("policyTypes")
    types = [each for each in ("Ingress", "Egress") if isinstance(given, list) and each in given]
    made: Obj = {"podSelector": {"matchLabels": {"app": NAME}}, "policyTypes": types or ["Ingress"]}
    for way, peers in (("ingress", "from"), ("egress", "to")):
        rules = spec.get(way)
        if isinstance(rules, list) and rules:
            made[way] = [_rule(rule, peers) for rule in dicts(rules[:_RULES])]
    return made


def _rule(rule: Obj, peers: str) -> Obj:
    """Peers of the same sort under another name; ports by their number."""
    made: Obj = {}
    if isinstance(given := rule.get(peers), list) and given:
        sorts = {word for peer in dicts(given) for word in ("ipBlock", "namespaceSelector", "podSelector") if word in peer}
        made[peers] = [*([{"ipBlock": {"cidr": "0.0.0.0/0"}}] if "ipBlock" in sorts else []),
                       *([{"podSelector": {"matchLabels": {"app": OTHER}}}] if "podSelector" in sorts or "ipBlock" not in sorts else [])]  # fmt: skip
    if isinstance(given := rule.get("ports"), list) and given:
        ports = [{"protocol": p.get("protocol") if p.get("protocol") in ("TCP", "UDP", "SCTP") else "TCP", "port": p["port"]}
                 for p in dicts(given) if type(p.get("port")) is int and 0 < p["port"] < 65536]  # fmt: skip
        made["ports"] = ports[:_PORTS] or [{"protocol": "TCP", "port": 8080}]
    return made
