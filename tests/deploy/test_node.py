"""The image and the chart on a real node: orders become Jobs, Jobs collect evidence, and a killed one is gone on with."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from irkit import __version__, settings, wiring
from irkit.app.orders import dispatch, queue
from irkit.engine import journal
from irkit.engine.home import Home
from irkit.model.order import Command, Held, Origin
from irkit.settings import Settings
from tests.controlplane import place
from tests.controlplane.cluster import make_ca, make_certificate
from tests.controlplane.plugin import fresh_namespace
from tests.controlplane.running import Obj, Running
from tests.deploy.chart import LISTENER, NAMESPACE, Chart, installed
from tests.deploy.conftest import ROOT
from tests.deploy.image import Image

pytestmark = [pytest.mark.node, pytest.mark.slow]
FALCO = Origin(door="webhook", sender="falco")
RESTRICTED = {
    "runAsNonRoot": True, "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}  # fmt: skip


@dataclass
class Site:
    """The chart on the node, its volume, and a listener's own view of it: settings and kubeconfig with no rights but its own."""

    chart: Chart
    reference: str
    namespace: str
    volume: Path
    configured: Settings

    @property
    def plane(self) -> Running:
        return self.chart.plane


def ctr(plane: Running, *arguments: str) -> str:
    """containerd's own client, where the node is."""
    command = [sys.executable, str(ROOT / "tests/controlplane/node.py"), "exec", str(plane.home), "ctr", "--namespace=k8s.io", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def site(real_node: Running, image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    ctr(real_node, "images", "import", str(image.archive))
    reference = f"localhost/irkit@{image.digest}"
    ctr(real_node, "images", "tag", f"localhost/irkit:{__version__}", reference)
    volume = tmp_path_factory.mktemp("volume")
    os.chown(volume, 65532, 65532)
    real_node.apply(persistent_volume(volume))
    with fresh_namespace(real_node, "shop") as namespace:
        values = {
            "image": {"repository": "localhost/irkit", "digest": image.digest}, "namespaces": [namespace],
            "approvers": {"groups": ["leads"]},
            "listener": {"replicas": 0, "slackSecret": "", "from": [{"ipBlock": {"cidr": f"{place.HOST_IP}/32"}}]},
        }  # fmt: skip
        with installed(real_node, values, helm=False) as chart:
            folder = tmp_path_factory.mktemp("listener")
            (folder / "config.yaml").write_text(chart.configuration)
            real_node.apply(*(busybox(name) for name in ("web-1", "web-2", "web-3", "web-4")), namespace=namespace)
            real_node.pods(namespace, count=4)
            configured = settings.load(
                {"IRKIT_CONFIG": str(folder / "config.yaml"), "KUBECONFIG": str(as_listener(real_node, folder)), "HOME": str(folder)}
            )
            yield Site(chart, reference, namespace, volume, configured)
        real_node.kubectl("wait", "--for=delete", f"namespace/{NAMESPACE}", "--timeout=60s", check=False)
    real_node.kubectl("delete", "persistentvolume", "irkit-home", "--wait=false")


def persistent_volume(folder: Path) -> Obj:
    spec = {
        "capacity": {"storage": "20Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": str(folder)},
        "persistentVolumeReclaimPolicy": "Retain",
        "claimRef": {"namespace": NAMESPACE, "name": "irkit-home"},
    }  # fmt: skip
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "irkit-home"}, "spec": spec}


def busybox(name: str) -> Obj:
    words = {"name": "app", "image": "localhost/busybox:1", "command": ["sh", "-c", f"echo {name} is up; sleep 3600"]}
    spec = {"containers": [words], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}}, "spec": spec}


def as_listener(plane: Running, folder: Path) -> Path:
    """A kubeconfig for the listener's ServiceAccount, and nothing that it may not."""
    document = json.loads(plane.admin_kubeconfig.read_text())
    document["users"][0]["user"]["as"] = LISTENER
    path = folder / "kubeconfig"
    path.touch(0o600)
    path.write_text(json.dumps(document))
    return path


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
    until = time.monotonic() + seconds
    while not held.status.over:
        assert time.monotonic() < until, (held.status, described(site))
        (held,) = (h for h in dispatch.turn(orders, runner, site.configured, ports.clock) if h.order.id == asked.id)
        meanwhile(held)
        time.sleep(0.05)
    return held


def described(site: Site) -> str:
    found = site.plane.kubectl("describe", "jobs,pods", "-n", NAMESPACE, check=False).stdout
    logs = site.plane.kubectl("logs", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=actor", "--tail=40", check=False)
    return found[-6000:] + logs.stdout + logs.stderr


def checked(site: Site, held: Held) -> None:
    """Irkit's own verdict on the bags, in the image that made them."""
    bags = site.volume / "incidents" / held.status.incident / "bags"
    for bag in sorted(bags.iterdir()):
        done = subprocess.run([sys.executable, "-m", "irkit", "bundle", "verify", str(bag)], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


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


def processes(identifier: str) -> list[int]:
    """Those that carry this order out. A node's processes are seen from outside of it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[-4:] == [b"order", b"work", identifier.encode(), b""]:
            found.append(int(path.parent.name))
    return found


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
        for pid in processes(held.order.id):
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    held = carried_out(site, "web-2", meanwhile=kill)
    assert killed, "it was over before it could be killed"
    assert held.status.state == "done", (held.status, described(site))
    assert held.status.begun == 2
    mine = [i for i in Home(site.volume).ids() if "web-2" in i]
    assert mine == [held.status.incident], "the second Job went on with the incident of the first"
    checked(site, held)


def test_a_containment_waits_for_somebody_at_a_terminal_and_is_carried_out_with_the_playbooks_rights(site: Site, tmp_path: Path) -> None:
    site.plane.apply(api(), namespace=site.namespace)
    (pod,) = (p["metadata"]["name"] for p in site.plane.pods(site.namespace, "app=api", count=1))
    said: list[str] = []

    def approve(held: Held) -> None:
        if held.status.state == "waiting" and not said:
            document = json.loads(site.plane.admin_kubeconfig.read_text())
            document["users"][0]["user"].update({"as": "ann", "as-groups": ["leads", "system:authenticated"]})
            (tmp_path / "kubeconfig").write_text(json.dumps(document))
            environment = {**os.environ, "KUBECONFIG": str(tmp_path / "kubeconfig"), "IRKIT_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)}
            command = [sys.executable, "-m", "irkit", "approve", held.order.id, "--yes"]
            done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done.stderr
            said.append(done.stderr)

    held = carried_out(site, pod, "contain", approve)
    assert said, (held, described(site))
    assert held.status.state == "done", (held, described(site))
    labels = site.plane.get("pod", pod, "-n", site.namespace)["metadata"]["labels"]
    assert labels["quarantine"] == "true"
    assert site.plane.get("deployment", "api", "-n", site.namespace)["spec"]["replicas"] == 0
    copies = site.plane.get("configmaps", "-n", NAMESPACE, "-l", "irkit.dev/incident")["items"]
    assert f"irkit-{held.status.incident.lower()}" in {c["metadata"]["name"] for c in copies}
    checked(site, held)


def api() -> Obj:
    template = {"metadata": {"labels": {"app": "api"}}, "spec": busybox("api")["spec"]}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "api"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"}, "spec": spec}


KEY = b"the key that falcosidekick signs with"


@pytest.fixture
def listeners(site: Site, tmp_path: Path) -> Iterator[ssl.SSLContext]:
    """Two listeners that run and are ready, with a certificate and a key for webhooks. Gives what a sender trusts."""
    make_ca(tmp_path)
    make_certificate(tmp_path, "tls", "/CN=irkit-listener", "subjectAltName=DNS:irkit-listener.irkit-system.svc")
    files = {"tls.crt": (tmp_path / "tls.crt").read_bytes(), "tls.key": (tmp_path / "tls.key").read_bytes(), "falco": KEY}
    data = {name: base64.b64encode(content).decode() for name, content in files.items()}
    site.plane.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "irkit-webhooks", "namespace": NAMESPACE}, "data": data})
    site.plane.kubectl("scale", "deployment/irkit-listener", "-n", NAMESPACE, "--replicas=2")
    try:
        done = site.plane.kubectl("rollout", "status", "deployment/irkit-listener", "-n", NAMESPACE, "--timeout=60s", check=False)
        assert done.returncode == 0, done.stderr + logged(site)
        yield ssl.create_default_context(cafile=tmp_path / "ca.crt")
    finally:
        site.plane.kubectl("scale", "deployment/irkit-listener", "-n", NAMESPACE, "--replicas=0")


def logged(site: Site) -> str:
    return site.plane.kubectl("logs", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=listener", "--tail=60", check=False).stdout


def listening(site: Site) -> list[Obj]:
    return site.plane.pods(NAMESPACE, "app.kubernetes.io/component=listener")


def alert(site: Site, trust: ssl.SSLContext, address: str, pod: str, key: bytes = KEY) -> int:
    """What Falco says of a pod, signed; the status of the answer."""
    fields = {"k8s.ns.name": site.namespace, "k8s.pod.name": pod, "proc.cmdline": "sh -c uptime"}
    event = {"rule": "Terminal shell in container", "priority": "Critical", "output": "A shell was spawned", "output_fields": fields}
    body, now = json.dumps(event).encode(), str(int(time.time()))
    signature = hmac.new(key, f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    request = urllib.request.Request(f"https://{address}:8443/hooks/falco", body, {"Irkit-Signature": f"t={now},v1={signature}"})
    trust.check_hostname = False  # it is asked by its pod's address; the certificate is the Service's
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
    try:
        with opener.open(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def done_about(site: Site, pod: str, seconds: float) -> Held:
    """The one order about a pod, when it is over."""
    ports = wiring.ports(site.configured, lambda event: None)
    orders = wiring.orders(site.configured, ports.cluster)
    until = time.monotonic() + seconds
    while True:
        found = [h for h in orders.list() if h.order.target == pod]
        assert len(found) <= 1
        if found and found[0].status.over:
            return found[0]
        assert time.monotonic() < until, (found, logged(site), described(site))
        time.sleep(0.1)


def test_an_alert_that_is_signed_becomes_evidence_and_a_listener_that_ends_is_replaced(site: Site, listeners: ssl.SSLContext) -> None:
    addresses = [p["status"]["podIP"] for p in listening(site)]
    assert alert(site, listeners, addresses[0], "web-3", b"another key") == 401
    assert [alert(site, listeners, address, "web-3") for address in addresses] == [202, 200]  # one event, delivered twice
    held = done_about(site, "web-3", 60)
    assert held.status.state == "done", (held, logged(site), described(site))
    assert (held.order.origin.door, held.order.origin.sender, held.order.rule) == ("webhook", "falco", "evidence")
    checked(site, held)

    leader = site.plane.get("lease", "irkit-listener", "-n", NAMESPACE)["spec"]["holderIdentity"].partition("_")[0]
    (other,) = (p["status"]["podIP"] for p in listening(site) if p["metadata"]["name"] != leader)
    site.plane.kubectl("delete", "pod", leader, "-n", NAMESPACE, "--grace-period=0", "--force")
    assert alert(site, listeners, other, "web-4") == 202
    held = done_about(site, "web-4", 45)
    assert held.status.state == "done", (held, logged(site), described(site))
    checked(site, held)
