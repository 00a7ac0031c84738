"""What is measured, on which objects."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench import verdict as judging
from bench.measure import Ended, Series, in_turns, run
from bench.table import Row
from tests.controlplane.running import Obj, Running

LINE = b"level=info ts=2026-01-01T00:00:00Z msg=request method=GET path=/api/items status=200 duration=3.1ms client=10.0.0.1"
DENY_ALL = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "quarantine"},
    "spec": {"podSelector": {"matchLabels": {"quarantine": "true"}}, "policyTypes": ["Ingress", "Egress"]},
}


@dataclass
class Stage:
    """The control plane, the two programs, and a place for what they write."""

    plane: Running
    irkit_program: Path
    work: Path
    runs: int
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def environ(self, home: Path | None = None) -> dict[str, str]:
        mine = {"KUBECONFIG": self.plane.admin_kubeconfig, "HOME": self.work, "IRKIT_HOME": home or self.work / f"home-{next(self.numbers)}"}
        return {**os.environ, **{name: str(path) for name, path in mine.items()}}

    def irkit(self, *arguments: str, until: str = "") -> Ended:
        return run([self.irkit_program, *arguments], self.environ(), until=until)

    def collect_logs(self, namespace: str, pod: str, size: int) -> Ended:
        """`irkit collect --take logs`; what it collected must be at least ``size`` bytes."""
        home = self.work / f"home-{next(self.numbers)}"
        ended = run([self.irkit_program, "collect", pod, "-n", namespace, "--take", "logs"], self.environ(home))
        got = sum(file.stat().st_size for file in home.rglob("*") if file.is_file())
        if got < size:
            raise SystemExit(f"collected {got} bytes of at least {size}")
        shutil.rmtree(home)
        return ended

    def kubectl(self, *arguments: str, output: Path | None = None) -> Ended:
        return run([self.plane.kubectl_program, *arguments], self.environ(), output=output)

    def workload(self, replicas: int) -> tuple[str, list[str]]:
        """A namespace of its own with one Deployment; its name, and the names of its pods."""
        namespace = f"bench-{next(self.numbers)}"
        self.plane.kubectl("create", "namespace", namespace)
        self.plane.kubectl("wait", "--for=create", "serviceaccount/default", "-n", namespace, "--timeout=20s")
        self.plane.apply(_deployment(replicas), namespace=namespace)
        pods = self.plane.pods(namespace, "app=backend", count=replicas)
        return namespace, [p["metadata"]["name"] for p in pods]


def _deployment(replicas: int) -> Obj:
    template = {"metadata": {"labels": {"app": "backend"}}, "spec": {"containers": [{"name": "app", "image": "localhost/backend:1"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "backend"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "backend"}, "spec": spec}


def _row(what: str, mine: Series, beside: str, theirs: Series, target: float | None = None) -> Row:
    unit, scale = ("s", 1.0) if mine.median >= 1 else ("ms", 1000.0)
    return Row(what, mine.minimum * scale, mine.median * scale, unit, beside, theirs.minimum * scale, theirs.median * scale, target)


def startup(stage: Stage) -> list[Row]:
    version, listed, theirs = in_turns(
        stage.runs,
        lambda: stage.irkit("--version").seconds,
        lambda: stage.irkit("--help").seconds,
        lambda: stage.kubectl("version", "--client").seconds,
    )
    beside = "kubectl version --client"
    return [_row("irkit --version", version, beside, theirs, 1.0), _row("irkit --help", listed, beside, theirs, 1.0)]


def contain(stage: Stage) -> list[Row]:
    """Up to the `verdict:` line, beside the documented kubectl label, apply and scale."""
    policy, whole, asked, before = stage.work / "deny-all.json", Series(), [], []
    policy.write_text(json.dumps(DENY_ALL))

    def ours() -> float:
        namespace, pods = stage.workload(3)
        mark, begun = stage.plane.mark(), time.time()
        ended = stage.irkit("contain", pods[0], "-n", namespace, "--yes", "--keep-workload", until="verdict:")
        requests = {e["auditID"]: e["requestReceivedTimestamp"] for e in stage.plane.audit(mark, agent="irkit/")}
        cut = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(begun + ended.awaited)) + f"{(begun + ended.awaited) % 1:.6f}Z"[1:]
        whole.seconds.append(ended.seconds)
        asked.append(len(requests))
        before.append(sum(at <= cut for at in requests.values()))
        return ended.awaited

    def theirs() -> float:
        namespace, pods = stage.workload(3)
        commands = (("label", "pod", pods[0], "quarantine=true"), ("apply", "-f", str(policy)), ("scale", "deployment/backend", "--replicas=0"))
        return sum(stage.kubectl(*command, "-n", namespace).seconds for command in commands)

    mine, documented = in_turns(stage.runs, ours, theirs)
    beside = "kubectl label + apply + scale"
    counts = [Row(f"requests {what}", min(n), sorted(n)[len(n) // 2], "") for what, n in (("up to the verdict", before), ("of a containment", asked))]
    return [
        _row("irkit contain, to the verdict", mine, beside, documented, 1.0),
        _row("irkit contain, to its end, 3 pods collected", whole, beside, documented),
        *counts,
    ]


def logs(stage: Stage) -> list[Row]:
    """50 pods, 32 MB in all."""
    namespace, pods = stage.workload(50)
    for pod in pods:
        stage.plane.set_logs(namespace, pod, {"app": itertools.repeat(LINE, 640_000 // (len(LINE) + 1))})
    stage.plane.kubectl("logs", pods[-1], "-n", namespace)

    out = stage.work / "out"
    out.mkdir()

    def raw() -> float:
        return run([sys.executable, "bench/stream.py", str(stage.plane.admin_kubeconfig), namespace, str(out), "16"], stage.environ()).seconds

    def one_by_one() -> float:
        return sum(stage.kubectl("logs", pod, "-n", namespace, "--timestamps", output=out / pod).seconds for pod in pods)

    mine, least, kubectl, dump = in_turns(
        stage.runs,
        lambda: stage.collect_logs(namespace, pods[0], 32_000_000).seconds,
        raw,
        one_by_one,
        lambda: stage.kubectl("cluster-info", "dump", "--namespaces", namespace, "--output-directory", str(out)).seconds,
    )
    what = "irkit collect --take logs, 50 pods, 32 MB"
    return [
        _row(what, mine, "raw parallel streaming", least, 1.3),
        _row(what, mine, "kubectl logs, one after the other", kubectl),
        _row(what, mine, "kubectl cluster-info dump", dump),
    ]


def memory(stage: Stage) -> list[Row]:
    """Peak resident memory of a collection; that it does not grow with the log is the second row."""
    rows = []
    for size, target in ((3, None), (300, 120.0)):
        namespace, pods = stage.workload(1)
        stage.plane.set_logs(namespace, pods[0], {"app": itertools.repeat(LINE, size * 1_000_000 // (len(LINE) + 1))})
        peaks = sorted(stage.collect_logs(namespace, pods[0], size * 1_000_000).peak for _ in range(3))
        rows.append(Row(f"peak memory, collecting a log of {size} MB", peaks[0], peaks[1], "MB", target=target))
    return rows


def verdict(stage: Stage) -> list[Row]:
    timing = judging.measure(1000, max(10, stage.runs))
    return [Row("verdict, 1 pod among 1,000 policies", timing.minimum, timing.median, "ms", target=20.0)]
