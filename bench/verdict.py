"""How long the verdict takes: one pod among many policies. Target: under 20 ms for 1,000."""

from __future__ import annotations

import statistics
import time
from typing import NamedTuple

from irkit.model.kube import Obj
from irkit.network.verdict import judge


class Timing(NamedTuple):
    """Milliseconds, over all rounds."""

    minimum: float
    median: float
    leaks: int


def crowded(count: int) -> tuple[Obj, list[Obj]]:
    """A quarantined pod and ``count`` policies of its namespace as real ones are: some that select it, most that don't."""
    pod: Obj = {"metadata": {"name": "suspect", "namespace": "shop", "labels": {"quarantine": "true", "irkit.dev/incident": "k7q2"}}, "spec": {}}
    return pod, [_policy(n) for n in range(count)]


def _policy(number: int) -> Obj:
    selectors: list[Obj] = [
        {"matchLabels": {"app": f"app-{number}"}},
        {"matchLabels": {"app": f"app-{number}", "tier": "web"}, "matchExpressions": [{"key": "env", "operator": "In", "values": ["a", "b", "c"]}]},
        {"matchExpressions": [{"key": "tier", "operator": "Exists"}, {"key": "app", "operator": "NotIn", "values": [f"app-{n}" for n in range(20)]}]},
        {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["frontend"]}]},  # selects the suspect too
    ]
    rule = {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}], "ports": [{"port": 9090}]}
    spec = {"podSelector": selectors[number % 4], "policyTypes": ["Ingress", "Egress"], "ingress": [rule] * 3, "egress": []}
    return {"metadata": {"name": f"policy-{number}", "namespace": "shop", "uid": f"uid-{number}"}, "spec": spec}


def measure(count: int = 1000, rounds: int = 20) -> Timing:
    """Judge one pod among ``count`` policies, ``rounds`` times."""
    pod, policies = crowded(count)
    spent, leaks = [], 0
    for _ in range(rounds):
        began = time.perf_counter()
        leaks = len(judge(pod, policies))
        spent.append((time.perf_counter() - began) * 1000)
    return Timing(min(spent), statistics.median(spent), leaks)


if __name__ == "__main__":
    timing = measure()
    print(f"verdict among 1,000 policies: {timing.minimum:.1f} ms at best, {timing.median:.1f} ms median, {timing.leaks} leaks (target: under 20 ms)")
