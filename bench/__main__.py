"""The bench: starts a real control plane with simulated nodes, measures, prints one table.

python -m bench [--runs N] [--only startup,contain,logs,memory,verdict,radius,rotation,sandbox,webhooks]
"""

from __future__ import annotations

import argparse
import compileall
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import radius, rotation, sandbox, scenes, webhooks
from bench.table import Row, render
from tests.controlplane import binaries
from tests.controlplane.running import running

PARTS: dict[str, Callable[[scenes.Stage], list[Row]]] = {
    "startup": scenes.startup,
    "contain": scenes.contain,
    "logs": scenes.logs,
    "memory": scenes.memory,
    "verdict": scenes.verdict,
    "radius": radius.radius,
    "rotation": rotation.rotation,
    "sandbox": sandbox.sandbox,
    "webhooks": webhooks.webhooks,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Speed, memory and requests, beside kubectl's")
    parser.add_argument("--runs", type=int, default=10, help="runs of each figure (default 10)")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas: %(default)s")
    arguments = parser.parse_args()
    for variable in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "KUBECONFIG", "IRKIT_HOME"):
        os.environ.pop(variable, None)
    irkit = Path(sys.executable).parent / "irkit"
    if not irkit.exists():
        sys.exit(f"{irkit} is not there: call `make bench`")
    compileall.compile_dir("irkit", quiet=1)
    rows = []
    try:
        with running(nodes=3) as plane, tempfile.TemporaryDirectory(prefix="irkit-bench-") as work:
            stage = scenes.Stage(plane, irkit, Path(work), arguments.runs)
            for part in arguments.only.split(","):
                print(f"measuring {part} …", file=sys.stderr, flush=True)
                rows += PARTS[part](stage)
    except binaries.NotBuilt as missing:
        sys.exit(str(missing))
    print(f"Whole processes, {arguments.runs} runs in turns, {os.cpu_count()} CPUs, Kubernetes {binaries.VERSION}; ratio of the medians.\n")
    print(render(rows))


if __name__ == "__main__":
    main()
