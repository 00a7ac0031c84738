"""How long the harm goes on: from the start of a command to the first connection that is refused. Measured and printed; speed has its bench."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.controlplane.running import Obj, Running
from tests.e2e.running import Irkit
from tests.node.app import DENY_ALL, busybox, listening

pytestmark = pytest.mark.node

# One connection after the other, a line for each that was answered, until one is not. The limit is nc's time to connect.
PROBE = "while echo ping | nc -w 1 {address} 5432 | grep -q ping; do echo answered; done; echo refused"


class Probe:
    """Connections out of a pod, one every few milliseconds."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.answered: list[float] = []
        self.refused = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line == "answered\n":
                self.answered.append(time.monotonic())
            else:
                self.refused.set()

    def warm(self, connections: int = 20, seconds: float = 30) -> None:
        until = time.monotonic() + seconds
        while len(self.answered) < connections:
            assert time.monotonic() < until, f"{len(self.answered)} connections in {seconds} s"
            time.sleep(0.01)

    def cut(self) -> float:
        """When the first refused SYN was sent: right after the last connection that was answered."""
        assert self.refused.wait(20), "nothing was refused"
        return self.answered[-1]

    def end(self) -> None:
        self.process.kill()
        self._reader.join()


@contextlib.contextmanager
def probing(plane: Running, source: Obj, target: Obj) -> Iterator[Probe]:
    meta, script = source["metadata"], PROBE.format(address=target["status"]["podIP"])
    command = [str(plane.kubectl_program), f"--kubeconfig={plane.admin_kubeconfig}", "-n", meta["namespace"], "exec", meta["name"]]
    with subprocess.Popen([*command, "--", "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        probe = Probe(process)
        try:
            probe.warm()
            yield probe
        finally:
            probe.end()


def timed(plane: Running, source: Obj, target: Obj, act: Callable[[], object]) -> tuple[float, float]:
    """Seconds from the start of ``act`` to the first refused connection, and to its end."""
    with probing(plane, source, target) as probe:
        began = time.monotonic()
        act()
        ended = time.monotonic()
        return probe.cut() - began, ended - began


def test_time_to_cut(real_node: Running, node_namespace: str, irkit: Irkit, capsys: pytest.CaptureFixture[str]) -> None:
    """Without policies of the app's own, under which the documented three commands would cut nothing at all."""
    labels = {"app": "web"}
    template: Obj = {"metadata": {"labels": labels}, "spec": busybox("web", listening(8000))}
    spec: Obj = {"replicas": 3, "selector": {"matchLabels": labels}, "template": template}
    web: Obj = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
    postgres: Obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "postgres"}, "spec": busybox("postgres", listening(5432))}
    real_node.apply(web, postgres, namespace=node_namespace)
    pods = sorted(real_node.pods(node_namespace, count=4), key=lambda p: str(p["metadata"]["name"]))
    database, first, second, _ = pods
    where = ("-n", node_namespace)

    def documented() -> None:
        real_node.kubectl("label", "pod", first["metadata"]["name"], *where, "quarantine=true")
        real_node.apply(DENY_ALL, namespace=node_namespace)
        real_node.kubectl("scale", "deployment/web", *where, "--replicas=3")  # to what it has: to 0 would end the pod that is measured

    by_hand, three_commands = timed(real_node, first, database, documented)
    cut, whole = timed(real_node, second, database, lambda: irkit.json("contain", second["metadata"]["name"], *where, "--keep-workload", "--yes"))
    assert 0 < cut < whole, "the connection was cut by something else than this run"
    with capsys.disabled():
        print(f"\nirkit contain: first refused connection {cut * 1000:.0f} ms after its start, all done after {whole * 1000:.0f} ms; "
              f"kubectl label, apply, scale: refused after {by_hand * 1000:.0f} ms, done after {three_commands * 1000:.0f} ms; "
              f"ratio of irkit's cut to the three commands {cut / three_commands:.2f}")  # fmt: skip
