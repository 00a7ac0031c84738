"""`irkit serve` under fire: what 1,000 webhooks cost its process in CPU time, and how much memory they leave behind.

python -m bench.webhooks      on the rehearsal cluster; `python -m bench --only webhooks` on a real control plane
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.scenes import Stage
from bench.table import Row, render
from irkit.sandbox import Sandbox

COUNT, CONNECTIONS = 5_000, 16
SECONDS, MEGABYTES = 1.0, 8.0  # of CPU for 1,000 webhooks on one core; more memory after the last thousands than after the first
TOKEN = "a-token-of-the-bench-0123456789abcdef"
RULES = """apiVersion: irkit.dev/v1
kind: Rules
rules:
  - {name: evidence, match: {source: am}, run: {command: collect}, limits: {per-hour: 1000}}
"""
_TICK = os.sysconf("SC_CLK_TCK")


def webhooks(stage: Stage) -> list[Row]:
    return rows(stage.environ(), stage.work)


def rows(environ: Mapping[str, str], work: Path) -> list[Row]:
    found = []
    kinds = (("forged", "wrong", b"401"), ("the same alert", TOKEN, b"200"), ("another alert each", TOKEN, b""))
    for what, token, status in kinds:
        with _serving(environ, work) as (process, port):
            pods: Iterator[int] = itertools.repeat(0) if status else itertools.count()  # many: until the queue is full, and beyond
            asyncio.run(_fire(port, token, b"", COUNT // 5, pods))  # everything is imported, every buffer as large as it gets
            before, began, clock = _memory(process), _cpu(process), time.perf_counter()
            asyncio.run(_fire(port, token, status, COUNT, pods))
            wall, cpu, grown = time.perf_counter() - clock, _cpu(process) - began, _memory(process) - before
            each = cpu / COUNT * 1000
            found += [Row(f"1,000 webhooks, {what}: CPU ({COUNT / wall:,.0f}/s seen)", each, each, "s", target=SECONDS),
                      Row(f"{COUNT:,} webhooks, {what}: memory left", grown, grown, "MB", target=MEGABYTES)]  # fmt: skip
    return found


@contextlib.contextmanager
def _serving(environ: Mapping[str, str], work: Path) -> Iterator[tuple[int, int]]:
    """The process' id, and its port."""
    (work / "rules.yaml").write_text(RULES)
    token = hashlib.sha256(TOKEN.encode()).hexdigest()
    source = {"format": "alertmanager", "bearer": {"tokens": {"bench": token}}, "rate": 100_000, "burst": 100_000}
    section = {"rules": str(work / "rules.yaml"), "sources": {"am": source}, "peer-rate": 100_000, "peer-burst": 100_000}
    (work / "serve.yaml").write_text(json.dumps({"serve": section, "orders": {"queue": "machine", "most-open": 50, "most-running": 1}}))
    own = {**environ, "IRKIT_CONFIG": str(work / "serve.yaml"), "IRKIT_HOME": tempfile.mkdtemp(dir=work)}
    log = work / "serve.log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "irkit", "serve", "--listen", "127.0.0.1:0"], env=own, stdin=subprocess.DEVNULL, stderr=stderr
        )
    try:
        while '"queue"' not in (said := log.read_text()):
            if process.poll() is not None:
                sys.exit(f"irkit serve ended: {said}")
            time.sleep(0.05)
        yield process.pid, int(json.loads(said.splitlines()[0])["address"].rpartition(":")[2])
    finally:
        process.terminate()
        process.wait()


async def _fire(port: int, token: str, status: bytes, count: int, pods: Iterator[int]) -> None:
    """So many requests, each about the next of the pods; each must be answered by that status, where one is given."""

    def request() -> bytes:
        labels = {"alertname": "Shell", "severity": "critical", "namespace": "todo-app", "pod": f"backend-{next(pods)}"}
        body = json.dumps({"version": "4", "alerts": [{"status": "firing", "labels": labels}]}).encode()
        return f"POST /hooks/am HTTP/1.1\r\nAuthorization: Bearer {token}\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    async def one(times: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(times):
            writer.write(request())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.split(b" ", 2)[1] in ((status,) if status else (b"200", b"202", b"401", b"503")), head
            length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
            await reader.readexactly(length)
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(one(count // CONNECTIONS) for _ in range(CONNECTIONS)))


def _cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _memory(process: int) -> float:
    """Resident, in MB."""
    line = next(line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1000


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="irkit-bench-") as work, Sandbox("todo-app", home=Path(work) / "box") as box:
        print(render(rows({**os.environ, **box.environment}, Path(work))))


if __name__ == "__main__":
    main()
