"""A scenario drafted from a real incident: yesterday's incident is next month's drill.

Nothing that somebody wrote is copied. What is taken over are numbers (how many pods, which ports, how long it took) and words
of Kubernetes' and irkit's own (kinds, protocols, directions), each only if it is among those that are known (facts.py). Names are new.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from irkit import API_VERSION
from irkit.game import reverting
from irkit.game.facts import NAME, OTHER, Facts
from irkit.model.kube import Obj

NAMESPACE = "drill"
_NODES = 3  # of the built-in clusters
_LEAST, _MOST = {"contain": 2, "evidence": 5, "rotate": 10, "recover": 15}, {"contain": 10, "evidence": 20, "rotate": 30, "recover": 40}
"""Minutes that a drill gives at least and at most, however long it took in earnest."""


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


def _within(found: Facts, stage: str) -> int:
    return min(_MOST[stage], max(_LEAST[stage], found.minutes.get(stage, 0)))


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
