"""The chart and the image on a real node, and a listener's own view of them: its settings, its rights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from irkit import __version__, settings
from irkit.model.order import Held
from irkit.settings import Settings
from tests.controlplane import place
from tests.controlplane.plugin import fresh_namespace
from tests.controlplane.running import Obj, Running
from tests.deploy.chart import LISTENER, NAMESPACE, Chart, installed, job_of, rendered
from tests.deploy.image import ROOT, Image
from tests.slack.people import ANN, BOB
from tests.slack.server import TEAM

PODS = ("web-1", "web-2", "web-3", "web-4", "web-5")


@dataclass
class Site:
    """The chart on the node, its volume, and a listener's own view of it: settings and kubeconfig with no rights but its own."""

    chart: Chart
    reference: str
    namespace: str
    volume: Path
    configured: Settings
    values: Obj

    @property
    def plane(self) -> Running:
        return self.chart.plane


def ctr(plane: Running, *arguments: str) -> str:
    """containerd's own client, where the node is."""
    command = [sys.executable, str(ROOT / "tests/controlplane/node.py"), "exec", str(plane.home), "ctr", "--namespace=k8s.io", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def opened(real_node: Running, image: Image, folder: Path) -> Iterator[Site]:
    ctr(real_node, "images", "import", str(image.archive))
    reference = f"localhost/irkit@{image.digest}"
    ctr(real_node, "images", "tag", f"localhost/irkit:{__version__}", reference)
    volume = folder / "volume"
    volume.mkdir()
    os.chown(volume, 65532, 65532)
    real_node.apply(persistent_volume(volume))
    with fresh_namespace(real_node, "shop") as namespace:
        values = {
            "image": {"repository": "localhost/irkit", "digest": image.digest}, "namespaces": [namespace],
            "approvers": {"groups": ["leads"]},
            "settings": {"slack": {
                "team": TEAM, "channels": {"C0INC": {"commands": ["collect", "contain", "status"], "namespace": namespace}},
                "users": {ANN: [], BOB: ["leads"]}, "approvers": {"contain": ["leads"]},
            }},
            "network": {"apiServer": {"cidrs": [f"{place.API_IP}/32"]}, "slack": {"cidrs": [f"{place.HOST_IP}/32"]}},
            "listener": {
                "replicas": 0, "from": [{"ipBlock": {"cidr": f"{place.HOST_IP}/32"}}],
                "env": {"IRKIT_SLACK_BASE_URL": f"https://{place.HOST_IP}", "SSL_CERT_FILE": "/etc/irkit-secrets/ca.crt"},
            },
        }  # fmt: skip
        with installed(real_node, values, helm=False) as chart:
            real_node.apply(*(busybox(name) for name in PODS), namespace=namespace)
            real_node.pods(namespace, count=len(PODS))
            yield Site(chart, reference, namespace, volume, configured(real_node, chart, folder), values)
        real_node.kubectl("wait", "--for=delete", f"namespace/{NAMESPACE}", "--timeout=60s", check=False)
    real_node.kubectl("delete", "persistentvolume", "irkit-home", "--wait=false")


def configured(plane: Running, chart: Chart, folder: Path) -> Settings:
    """The settings that are installed, as the listener has them."""
    (folder / "config.yaml").write_text(chart.configuration)
    return settings.load({"IRKIT_CONFIG": str(folder / "config.yaml"), "KUBECONFIG": str(as_listener(plane, folder)), "HOME": str(folder)})


@contextmanager
def without_a_claim(site: Site, folder: Path) -> Iterator[Site]:
    """The same with Jobs whose disk ends with them, for the time of a block."""
    text = rendered(site.plane, {**site.values, "jobs": {"claim": ""}})
    chart = Chart(site.plane, [o for o in yaml.safe_load_all(text) if o])
    found = Site(chart, site.reference, site.namespace, site.volume, configured(site.plane, chart, folder), site.values)
    assert found.configured.orders.jobs is not None
    trial, until = job_of(found.configured.orders.jobs, "zzzzzzzzzzzz"), time.monotonic() + 30
    site.plane.kubectl("apply", "-f", "-", stdin=text)
    try:
        while (answer := chart.as_(LISTENER, "create", "--dry-run=server", "-f", "-", stdin=trial)).refused:
            assert time.monotonic() < until, answer.text
            time.sleep(0.2)
        yield found
    finally:
        site.plane.kubectl("apply", "-f", "-", stdin=rendered(site.plane, site.values))


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


def contained(site: Site, workload: str, held: Held) -> None:
    """The end state, as the cluster has it."""
    labels = site.plane.get("pod", held.order.target, "-n", site.namespace)["metadata"]["labels"]
    assert labels["quarantine"] == "true"
    assert site.plane.get("deployment", workload, "-n", site.namespace)["spec"]["replicas"] == 0
    copies = site.plane.get("configmaps", "-n", NAMESPACE, "-l", "irkit.dev/incident")["items"]
    assert f"irkit-{held.status.incident.lower()}" in {c["metadata"]["name"] for c in copies}


def started(site: Site, name: str) -> str:
    """A Deployment of one pod; the pod's name."""
    site.plane.apply(deployment(name), namespace=site.namespace)
    (pod,) = site.plane.pods(site.namespace, f"app={name}", count=1)
    return str(pod["metadata"]["name"])


def deployment(name: str) -> Obj:
    template = {"metadata": {"labels": {"app": name}}, "spec": busybox(name)["spec"]}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
