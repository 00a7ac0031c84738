"""The rehearsal cluster with 2,000 pods: from the start of a process until all of them run and it answers.

python -m bench.sandbox      that process itself; `python -m bench --only sandbox` measures it
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from bench.measure import Series, run
from bench.scenes import Stage
from bench.table import Row
from irkit.model.kube import Obj
from irkit.sandbox import Sandbox
from irkit.sandbox.catalog import PODS

COUNT, WORKLOADS = 2000, 40
SECONDS, MEGABYTES = 2.0, 200.0


def sandbox(stage: Stage) -> list[Row]:
    times, peaks = Series(), []
    for _ in range(stage.runs):
        ended = run([sys.executable, "-m", "bench.sandbox"], os.environ)
        times.seconds.append(ended.seconds)
        peaks.append(ended.peak)
    peaks.sort()
    what = f"rehearsal cluster, {COUNT:,} pods"
    return [Row(f"{what} run", times.minimum, times.median, "s", target=SECONDS),
            Row(f"{what}, peak memory", peaks[0], peaks[len(peaks) // 2], "MB", target=MEGABYTES)]  # fmt: skip


def _deployment(name: str) -> Obj:
    labels = {"app": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "img:1"}]}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"},
            "spec": {"replicas": COUNT // WORKLOADS, "selector": {"matchLabels": labels}, "template": pod}}  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="irkit-bench-") as home:
        box = Sandbox("empty", home=Path(home))
        for number in range(WORKLOADS):
            box.store.add(_deployment(f"web-{number}"))
        with box:
            running = sum(pod["status"]["phase"] == "Running" for pod in box.store.all(PODS, "default"))
            if running != COUNT or box.problems:
                sys.exit(f"{running} of {COUNT} pods run; {box.problems}")


if __name__ == "__main__":
    main()
