"""A scenario drafted from a real incident: yesterday's incident is next month's drill.

Nothing that somebody wrote is copied. What is taken over are numbers (how many pods, which ports, how long it took) and words
of Kubernetes' and irkit's own (kinds, protocols, directions), each only if it is among those that are known. Names are new.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import yaml

from irkit import API_VERSION
from irkit.engine.state import State
from irkit.errors import UsageError
from irkit.game import reverting
from irkit.model.changes import Patch, Rotate
from irkit.model.kube import Obj, selects
from irkit.model.record import Intent, Line, Sealed, StepEnded
from irkit.text import printable

NAMESPACE, NAME, OTHER = "drill", "web", "db"
_KINDS = ("Deployment", "StatefulSet", "DaemonSet", "Job")
_NODES = 3  # of the built-in clusters
_LARGEST = 32 * 1024 * 1024  # bytes of a file of a bag that is read
_PODS, _POLICIES, _RULES, _KEYS, _PORTS = 10, 5, 5, 5, 10
_LEAST, _MOST = {"contain": 2, "evidence": 5, "rotate": 10, "recover": 15}, {"contain": 10, "evidence": 20, "rotate": 30, "recover": 40}
"""Minutes that a drill gives at least and at most, however long it took in earnest."""


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


def facts(state: State, lines: Sequence[Line], bags: Path) -> Facts:
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


def draft(found: Facts) -> str:
    """The scenario, as YAML. It loads; its sentences are for its author to make better."""
    found = msgspec.structs.replace(found, gone=found.gone and found.comes_back and not found.host, gitops=found.gitops if found.comes_back else "")
    alert = "The runtime monitor saw a shell in pod ${suspect} in ${namespace}. "
    if found.host:
        alert += "It is on the network of ${node}, where no policy holds it."
    elif found.gone:
        alert += "That was a while ago: kubectl get pod ${suspect} says NotFound."
    else:
        alert += "It opens connections to 203.0.113.77, which nobody knows."
    document = {
        "apiVersion": API_VERSION, "kind": "Scenario",
        "metadata": {"name": "own-incident", "title": "An incident of our own", "difficulty": 3,
                     "playbooks": ["compromised-node" if found.host else "compromised-pod"]},
        "world": {"base": "empty", "namespace": NAMESPACE, "suspect": {"app": NAME}, "manifests": list(_manifests(found))},
        "alert": alert, "lasts": f"{max(_within(found, stage) for stage in _LEAST) + 10}m",
        "attack": list(_attack(found)), "goals": list(_goals(found)), "best": list(_best(found)),
    }  # fmt: skip
    text: str = yaml.dump(document, Dumper=_Plain, sort_keys=False, width=140, allow_unicode=True)
    return f"{_HEAD}{text}"


class _Plain(yaml.SafeDumper):
    """Writes out what stands in two places: a scenario has no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_HEAD = """\
# A drill, drafted from an incident: its shape, and none of its names. Make the sentences those of your own people,
# then: irkit rehearse check FILE
"""


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


def _within(found: Facts, stage: str) -> int:
    return min(_MOST[stage], max(_LEAST[stage], found.minutes.get(stage, 0)))


def _policies(bags: Path, labels: dict[str, str]) -> Iterator[Obj]:
    """The shape of those that selected the suspect, from the first bag that has any."""
    for file in sorted(bags.glob("*/data/namespaces/*/networkpolicies.json")):
        try:
            if file.stat().st_size > _LARGEST:
                continue
            listed = msgspec.json.decode(file.read_bytes())
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        items = listed.get("items") if isinstance(listed, dict) else None
        listed = items if isinstance(items, list) else []
        specs = [item["spec"] for item in listed if isinstance(item, dict) and isinstance(item.get("spec"), dict)]
        chosen = [spec for spec in specs if _chooses(spec, labels)]
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
            made[way] = [_rule(rule, peers) for rule in rules[:_RULES] if isinstance(rule, dict)]
    return made


def _rule(rule: Obj, peers: str) -> Obj:
    """Peers of the same sort under another name; ports by their number."""
    made: Obj = {}
    if isinstance(given := rule.get(peers), list) and given:
        sorts = {word for peer in given if isinstance(peer, dict) for word in ("ipBlock", "namespaceSelector", "podSelector") if word in peer}
        made[peers] = [*([{"ipBlock": {"cidr": "0.0.0.0/0"}}] if "ipBlock" in sorts else []),
                       *([{"podSelector": {"matchLabels": {"app": OTHER}}}] if "podSelector" in sorts or "ipBlock" not in sorts else [])]  # fmt: skip
    if isinstance(given := rule.get("ports"), list) and given:
        ports = [{"protocol": p.get("protocol") if p.get("protocol") in ("TCP", "UDP", "SCTP") else "TCP", "port": p["port"]}
                 for p in given if isinstance(p, dict) and type(p.get("port")) is int and 0 < p["port"] < 65536]  # fmt: skip
        made["ports"] = ports[:_PORTS] or [{"protocol": "TCP", "port": 8080}]
    return made


def _manifests(found: Facts) -> Iterator[Obj]:
    def named(name: str, **more: Any) -> Obj:
        return {"name": name, "namespace": NAMESPACE, **more}

    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": named(NAME)}
    if found.keys:
        data = {f"KEY_{n}": f"value-{n}-of-the-drill" for n in range(1, found.keys + 1)}
        yield {"apiVersion": "v1", "kind": "Secret", "metadata": named("keys", annotations={"irkit.dev/rotation": "generated"}), "stringData": data}
    yield reverting.marked(_workload(found), found.gitops)
    yield from reverting.objects(found.gitops)
    others = _NODES if found.host else 1  # so that one is on the suspect's node
    yield {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": named(OTHER), "spec": {"replicas": others, **_template(OTHER, found)}}
    for name in (NAME, OTHER):
        yield {"apiVersion": "v1", "kind": "Service", "metadata": named(name), "spec": {"selector": {"app": name}, "ports": [{"port": 8080}]}}
    for number, spec in enumerate(found.policies, 1):
        yield {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": named(f"policy-{number}"), "spec": spec}
    if found.scaler and found.kind == "Deployment":
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME}
        metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]
        yield {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": named(NAME),
               "spec": {"scaleTargetRef": target, "minReplicas": found.pods, "maxReplicas": found.pods + 3, "metrics": metrics}}  # fmt: skip


def _template(name: str, found: Facts) -> Obj:
    labels = {"app": name}
    container: Obj = {"name": name, "image": f"drill.invalid/{name}:1.0", "ports": [{"containerPort": 8080}]}
    spec: Obj = {"containers": [container]}
    if name == NAME:
        spec["serviceAccountName"] = NAME
        if found.host:
            spec["hostNetwork"] = True
        if found.keys:
            container["envFrom"] = [{"secretRef": {"name": "keys"}}]
    return {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}}


def _workload(found: Facts) -> Obj:
    meta, body = {"name": NAME, "namespace": NAMESPACE}, _template(NAME, found)
    match found.kind:
        case "Pod":
            return {"apiVersion": "v1", "kind": "Pod", "metadata": {**meta, "labels": {"app": NAME}}, "spec": body["template"]["spec"]}
        case "Job":
            template = {**body["template"], "spec": {**body["template"]["spec"], "restartPolicy": "Never"}}
            return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": {"template": template}}
        case "DaemonSet":
            return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": meta, "spec": body}
        case "StatefulSet":
            return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta, "spec": {"replicas": found.pods, "serviceName": NAME, **body}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {"replicas": found.pods, **body}}


def _attack(found: Facts) -> Iterator[Obj]:
    if found.gone:
        yield {"at": "1s", "act": "evict"}
    yield {"at": "10s", "act": "connect", "with": {"to": "203.0.113.77", "port": 443}, "every": "30s"}
    yield {"at": "20s", "act": "log", "with": {"line": "WARN  a shell was started by the server process"}}
    if found.token:
        path = f"/api/v1/namespaces/{NAMESPACE}/pods"
        yield {"at": "90s", "act": "use-token", "with": {"account": f"{NAMESPACE}/{NAME}", "path": path}, "every": "120s"}


def _goals(found: Facts) -> Iterator[Obj]:
    def goal(id: str, state: str, points: int, stage: str, why: str, step: str, better: str, **args: Any) -> Obj:
        more = {"with": args} if args else {}
        page = "compromised-node.md" if found.host else "compromised-pod.md"
        return {"id": id, "state": state, **more, "points": points, "stage": stage, "within": f"{_within(found, stage)}m", "why": why,
                "runbook": f"{page}#{step}", "better": better}  # fmt: skip

    contain, rotate = "irkit contain ${suspect} -n ${namespace}", "irkit rotate ${suspect} -n ${namespace} --include serviceaccount"
    if found.host:
        respond = "irkit respond compromised-node node/${node}"
        yield goal("no-new-pods", "cordoned", 20, "contain", "What is started there is the attacker's from its first second.", "cordon", respond)
        yield goal("neighbours-cut", "isolated", 20, "contain", "A policy holds the other pods of the node, and not this one.", "cut-pods", respond,
                   pods="node")  # fmt: skip
        yield goal("evidence", "collected", 25, "evidence", "The machine will be replaced, and with it go its pods' logs.", "keep-evidence", respond,
                   pods="node")  # fmt: skip
    elif found.gone:
        yield goal("siblings-read", "collected", 35, "evidence", "The others had the same visitors; they are what is left of it.", "the-pod-is-gone",
                   contain, pods="siblings")  # fmt: skip
    else:
        yield goal("cut-off", "isolated", 30, "contain", "Until then the attacker takes along what there is.", "cut-network", contain)
        yield goal("evidence", "collected", 25, "evidence", "Without logs and events nobody will know how they got in.", "keep-evidence",
                   "irkit collect ${suspect} -n ${namespace}")  # fmt: skip
    if found.keys:
        yield goal("keys", "rotated", 15, "rotate", "The pod had these values; who has them needs no pod any more.", "rotate-credentials", rotate,
                   secret=f"{NAMESPACE}/keys")  # fmt: skip
    if found.token:
        yield goal("token", "dead", 10, "rotate", "A ServiceAccount's token is good for as long as its account is.", "rotate-credentials", rotate,
                   account=f"{NAMESPACE}/{NAME}")  # fmt: skip
    if found.comes_back and not found.host:
        yield goal("no-more-of-it", "stopped", 10, "contain", "The other pods have the same hole.", "stop-workload", contain)
        yield goal("back-again", "recovered", 10, "recover", "What stays down is what the attacker could have had more cheaply.", "redeploy",
                   "kubectl set image ${workload} -n ${namespace} ${image}" if found.gitops
                   else "irkit redeploy ${workload} -n ${namespace} --image ${image}")  # fmt: skip
    if not found.gone and not found.host:
        yield {"id": "kept-alive", "state": "alive", "hold": "always", "points": 20, "why": "Its memory and its disk are the best witness there is.",
               "runbook": "compromised-pod.md#stop-workload", "better": contain}  # fmt: skip
    yield {"id": "nobody-else", "state": "unharmed", "with": {"namespaces": ["kube-system", NAMESPACE]}, "hold": "always", "points": 15,
           "why": "Who had nothing to do with it must not pay for it."}  # fmt: skip


def _best(found: Facts) -> Iterator[str]:
    if found.host:
        yield "irkit respond compromised-node node/${node} --yes"
        return
    if found.gitops:  # what stands in Git only a person can look up
        yield "irkit respond compromised-pod ${suspect} -n ${namespace} --phase containment,investigation,eradication --yes"
        yield "kubectl set image ${workload} -n ${namespace} ${image}"
        yield f"kubectl scale ${{workload}} -n ${{namespace}} --replicas={found.pods}"
        return
    if found.comes_back:
        yield "irkit respond compromised-pod ${suspect} -n ${namespace} -p image=${image} --yes"
        return
    yield "irkit contain ${suspect} -n ${namespace} --yes"
    if found.keys or found.token:
        yield "irkit rotate ${suspect} -n ${namespace} --include serviceaccount --yes"
