"""The chart on a real control plane, and what irkit itself makes of the settings that it installs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from deploy import generate
from irkit import settings
from irkit.adapters.jobs import job
from irkit.model.order import Held, Order, Origin, Status
from irkit.settings.orders import JobSettings
from tests.controlplane.plugin import built
from tests.controlplane.running import Obj, Running

NAMESPACE = "irkit-system"
PLAIN = generate.HERE / "manifests" / "values.yaml"  # as the plain manifests are made
IMAGE = "registry.example/irkit@sha256:" + "0" * 64
ID = "bcdfghjkmnpq"
LISTENER = f"system:serviceaccount:{NAMESPACE}:irkit-listener"
ACTOR = f"system:serviceaccount:{NAMESPACE}:irkit-collect-only"


@dataclass
class Answer:
    """What the API server said to somebody."""

    code: int
    text: str

    @property
    def refused(self) -> bool:
        return self.code != 0


@dataclass
class Chart:
    plane: Running
    objects: list[Obj]

    def find(self, kind: str, name: str) -> Obj:
        return next(o for o in self.objects if (o["kind"], o["metadata"]["name"]) == (kind, name))

    @property
    def configuration(self) -> str:
        text: str = self.find("ConfigMap", "irkit-settings")["data"]["config.yaml"]
        return text

    def as_(self, user: str, *arguments: str, stdin: Obj | None = None, groups: tuple[str, ...] = ()) -> Answer:
        """kubectl as somebody else: the API server judges as if they had asked."""
        who = [f"--as={user}", *(f"--as-group={g}" for g in groups)]
        done = self.plane.kubectl(*arguments, *who, stdin=stdin, check=False)
        return Answer(done.returncode, done.stdout + done.stderr)

    def create(self, user: str, manifest: Obj, *, groups: tuple[str, ...] = ()) -> Answer:
        return self.as_(user, "create", "-f", "-", stdin=manifest, groups=groups)

    def job_settings(self, folder: Path) -> JobSettings:
        """orders.jobs as irkit reads them from the settings that are installed."""
        (folder / "config.yaml").write_text(self.configuration)
        found = settings.load({"IRKIT_CONFIG": str(folder / "config.yaml"), "HOME": str(folder)}).orders.jobs
        assert found is not None
        return found


def held(identifier: str = ID, playbook: str = "collect-only", **status: Any) -> Held:
    asked = Order(
        id=identifier, origin=Origin(door="slack", sender="U1", team="T1"), command="collect", playbook=playbook, target="web-1", namespace="shop",
        cluster="here", created="2026-01-01T00:00:00Z", expires="2036-01-01T01:00:00Z",
    )  # fmt: skip
    return Held(order=asked, status=Status(state="queued", changed="2026-01-01T00:00:00Z", begun=1, **status), version="")


def order_map(one: Held) -> Obj:
    """The ConfigMap of an order, as irkit/adapters/ordermaps.py writes it."""
    data = {"order.json": msgspec.json.encode(one.order).decode(), "status.json": msgspec.json.encode(one.status).decode()}
    return config_map(f"irkit-order-{one.order.id}", data)


def config_map(name: str, data: dict[str, str]) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": NAMESPACE}, "data": data}


def job_of(found: JobSettings, identifier: str = ID, playbook: str = "collect-only") -> Obj:
    return json.loads(json.dumps(job(held(identifier, playbook), found)))  # type: ignore[no-any-return]


def rendered(plane: Running, values: Obj) -> str:
    """The chart with these values over those of the plain manifests."""
    given = plane.home / "values.yaml"
    given.write_text(yaml.safe_dump(values))
    return generate.render(f"--values={PLAIN}", f"--values={given}")


@contextmanager
def installed(plane: Running, values: Obj, *, helm: bool) -> Iterator[Chart]:
    """The chart with these values, for the time of a block: as Helm installs it, or as plain manifests."""
    program = str(built("helm"))
    text = rendered(plane, values)
    chart = Chart(plane, [o for o in yaml.safe_load_all(text) if o])
    if not helm:
        plane.kubectl("apply", "-f", "-", stdin=text)
        try:
            yield chart
        finally:
            plane.kubectl("delete", "-f", "-", "--wait=false", "--ignore-not-found", stdin=text)
        return
    plane.kubectl("apply", "-f", str(PLAIN.with_name("namespace.yaml")))
    command = [program, f"--kubeconfig={plane.admin_kubeconfig}", f"--namespace={NAMESPACE}"]
    made = [
        *command,
        "install",
        "irkit",
        str(generate.CHART),
        f"--values={PLAIN}",
        f"--values={plane.home}/values.yaml",
        "--set=createNamespace=false",
        "--timeout=60s",
    ]
    done = subprocess.run(made, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    yield chart
    done = subprocess.run([*command, "uninstall", "irkit"], capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
