"""The image and the chart on a real node: orders become Jobs, Jobs do what was ordered, and a killed one is gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from irkit import __version__, wiring
from irkit.app.orders import dispatch, queue
from irkit.engine import journal
from irkit.engine.home import Home
from irkit.model.kube import NETWORKPOLICIES
from irkit.model.order import Command, Held, Origin
from tests import processes
from tests.controlplane.running import Obj
from tests.deploy.chart import NAMESPACE
from tests.deploy.site import Site, checked, contained, described, started, without_a_claim

pytestmark = pytest.mark.node
FALCO = Origin(door="webhook", sender="falco")
RESTRICTED = {
    "runAsNonRoot": True, "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}  # fmt: skip


def carried_out(
    site: Site, pod: str, command: Command = "collect", meanwhile: Callable[[Held], None] = lambda held: None, seconds: float = 90
) -> Held:
    """Order something about a pod, as an alert would, and see to the queue as a listener does until it is over."""
    ports = wiring.ports(site.configured, lambda event: None)
    orders = wiring.orders(site.configured, ports.cluster)
    runner = wiring.runner(site.configured, ports.cluster, orders, ())
    uid, key = ports.connection.identify().uid, f"{pod} {time.monotonic_ns()}"
    asked = queue.compose(key, FALCO, command, pod, site.namespace, cluster=uid, clock=ports.clock, settings=site.configured)
    held, _ = queue.submit(orders, asked, ports.clock)
    until, pulse = time.monotonic() + seconds, dispatch.Pulse(ports.clock)
    while not held.status.over:
        assert time.monotonic() < until, (held.status, described(site))
        (held,) = (h for h in dispatch.turn(orders, runner, site.configured, ports.clock, pulse) if h.order.id == asked.id)
        meanwhile(held)
        time.sleep(0.05)
    return held


def test_the_image_runs_and_is_admitted_by_restricted_pod_security(site: Site) -> None:
    container = {"name": "irkit", "image": site.reference, "args": ["--version"], "securityContext": RESTRICTED}
    spec = {"containers": [container], "restartPolicy": "Never"}
    site.plane.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "version", "namespace": NAMESPACE}, "spec": spec})
    site.plane.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/version", "-n", NAMESPACE, "--timeout=60s")
    assert site.plane.kubectl("logs", "version", "-n", NAMESPACE).stdout == f"irkit {__version__}\n"


def test_an_order_becomes_a_job_that_collects_the_evidence(site: Site) -> None:
    held = carried_out(site, "web-1")
    assert held.status.state == "done", (held.status, described(site))
    assert held.status.ended is not None
    assert held.status.ended.artefacts > 10
    assert held.status.begun == 1
    logs = list(site.volume.glob(f"incidents/{held.status.incident}/bags/1/data/pods/*/web-1/app/current.log"))
    assert [b"web-1 is up" in log.read_bytes() for log in logs] == [True]
    checked(site, held)


def test_a_killed_job_is_gone_on_with_in_the_next(site: Site) -> None:
    killed: list[int] = []

    def kill(held: Held) -> None:
        """SIGKILL as soon as the incident is on disk."""
        if killed or held.status.state != "running" or not held.status.incident:
            return
        path = site.volume / "incidents" / held.status.incident / journal.NAME
        until = time.monotonic() + 20
        while not path.exists() or not path.stat().st_size:
            assert time.monotonic() < until, described(site)
            time.sleep(0.002)
        for pid in processes.running("order", "work", held.order.id):
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    held = carried_out(site, "web-2", meanwhile=kill)
    assert killed, "it was over before it could be killed"
    assert held.status.state == "done", (held.status, described(site))
    assert held.status.begun == 2
    mine = [i for i in Home(site.volume).ids() if "web-2" in i]
    assert mine == [held.status.incident], "the second Job went on with the incident of the first"
    checked(site, held)


def approve(site: Site, identifier: str, folder: Path) -> str:
    """`irkit approve` by ann, who is one of those who may; what it showed her."""
    document = json.loads(site.plane.admin_kubeconfig.read_text())
    document["users"][0]["user"].update({"as": "ann", "as-groups": ["leads", "system:authenticated"]})
    (folder / "ann.kubeconfig").write_text(json.dumps(document))
    environment = {**os.environ, "KUBECONFIG": str(folder / "ann.kubeconfig"), "IRKIT_HOME": str(folder / "home"), "HOME": str(folder)}
    command = [sys.executable, "-m", "irkit", "approve", identifier, "--yes"]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_containment_waits_for_somebody_at_a_terminal_and_is_carried_out_with_the_playbooks_rights(site: Site, tmp_path: Path) -> None:
    pod, said = started(site, "api"), list[str]()

    def decide(held: Held) -> None:
        if held.status.state == "waiting" and not said:
            said.append(approve(site, held.order.id, tmp_path))

    held = carried_out(site, pod, "contain", decide)
    assert "scale Deployment" in said[0], (held, described(site))
    assert held.status.state == "done", (held, described(site))
    contained(site, "api", held)
    checked(site, held)


def test_a_job_that_is_killed_in_the_middle_with_its_disk_is_gone_on_with_from_the_copy_in_the_cluster(site: Site, tmp_path: Path) -> None:
    pod, said, killed = started(site, "shop-api"), list[str](), list[int]()

    def policies(bare: Site) -> list[Obj]:
        return [p for p in bare.plane.get("networkpolicies", "-n", bare.namespace, "-l", "irkit.dev/incident")["items"] if "irkit" in str(p)]

    with without_a_claim(site, tmp_path) as bare:
        before = len(policies(bare))

        def decide_then_kill(held: Held) -> None:
            """SIGKILL as soon as the pod is cut off."""
            if held.status.state == "waiting" and not said:
                said.append(approve(bare, held.order.id, tmp_path))
            if held.status.state != "running" or killed:
                return
            with wiring.cluster(bare.configured) as cluster:
                until = time.monotonic() + 20
                while not any(held.status.incident[-6:] in p["metadata"]["name"] for p in cluster.list(NETWORKPOLICIES, bare.namespace)):
                    assert time.monotonic() < until, described(bare)
            for pid in processes.running("order", "work", held.order.id):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

        held = carried_out(bare, pod, "contain", decide_then_kill)
        assert killed, "it was over before it could be killed"
        assert held.status.state == "done", (held, described(bare))
        assert held.status.begun == 3, "one planned, one was killed, one went on"
        assert len(policies(bare)) == before + 1
        contained(bare, "shop-api", held)
