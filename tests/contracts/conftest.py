"""The two clusters of the contract: the rehearsal cluster and a real control plane, behind one face."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from irkit.model import kube
from irkit.sandbox import Sandbox
from irkit.sandbox.logs import Line, fixed
from tests.contracts.client import Api, Obj, until
from tests.contracts.vaults import VaultFace
from tests.controlplane.running import Running

if TYPE_CHECKING:
    from tests.components.openbao import OpenBao
    from tests.components.postgres import Postgres

_numbers = itertools.count()


@dataclass
class Cluster:
    """One cluster under contract. ``real`` for what only one of them can be told."""

    real: bool
    admin: Api
    kubeconfig: Path
    nodes: tuple[str, ...]
    scratch: Path
    box: Sandbox | None = None
    plane: Running | None = None
    namespace: str = ""
    _namespaces: list[str] = field(default_factory=list)

    def path(self, resource: kube.Resource, name: str | None = None, subresource: str = "") -> str:
        """The path of something in the test's namespace."""
        return resource.path(self.namespace, name, subresource)

    def user(self, manifests: str = "") -> tuple[str, Api]:
        """Somebody bound to the Roles and ClusterRoles among the manifests and to nothing else: name and way in."""
        if self.plane is not None:
            somebody = self.plane.user(manifests)
            return somebody.name, Api(somebody.kubeconfig, self.scratch)
        assert self.box is not None
        name = f"somebody-{next(_numbers)}"
        for role in filter(None, yaml.safe_load_all(manifests)):
            self.box.store.add(role)
            binding = {"apiVersion": role["apiVersion"], "kind": f"{role['kind']}Binding",
                       "metadata": {**role["metadata"], "name": f"{role['metadata']['name']}-{name}"},
                       "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": role["metadata"]["name"]},
                       "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}]}  # fmt: skip
            self.box.store.add(binding)
        return name, Api(self.box.token_for(name), self.scratch)

    def set_logs(self, pod: str, current: Mapping[str, Iterable[bytes]], previous: Mapping[str, Iterable[bytes]] | None = None) -> None:
        if self.plane is not None:
            self.plane.set_logs(self.namespace, pod, current, previous)
            return
        assert self.box is not None
        for logs, before in ((current, False), (previous or {}, True)):
            for container, texts in logs.items():
                lines = [Line(1_767_225_600_000_000_000 + n * 1_000_000, text) for n, text in enumerate(texts)]
                self.box.write_log(self.namespace, pod, container, fixed(lines), previous=before)

    def add_log(self, pod: str, text: bytes) -> None:
        """Container ``c`` writes one more line."""
        if self.plane is not None:
            with (self.plane.home / "logs" / self.namespace / pod / "c.logsFile.log").open("ab") as file:
                file.write(b"2026-01-01T00:00:01.000000000Z stdout F %b\n" % text)
            return
        assert self.box is not None
        uid = self.admin.get(self.path(kube.PODS, pod))["metadata"]["uid"]
        self.box.logs.append(uid, "c", Line(1_767_225_601_000_000_000, text))

    # what the tests are made of

    def pod(self, name: str, labels: Mapping[str, str] | None = None, **spec: object) -> Obj:
        body = {"metadata": {"name": name, "labels": dict(labels or {})}, "spec": {"containers": [{"name": "c", "image": "img:1"}], **spec}}
        return self.admin.create(f"{self.path(kube.PODS)}?fieldManager=irkit", body)

    def running(self, name: str) -> Obj:
        """The pod once it runs."""

        def look() -> Obj | None:
            pod = self.admin.get(self.path(kube.PODS, name))
            return pod if any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", [])) else None

        return until(look, f"pod {name} is ready")

    def pods(self, labels: str = "") -> list[Obj]:
        items: list[Obj] = self.admin.get(f"{self.path(kube.PODS)}?labelSelector={labels}")["items"]
        return items

    def workload(self, resource: kube.Resource, name: str, replicas: int, **spec: object) -> Obj:
        template = {"metadata": {"labels": {"app": name}}, "spec": {"nodeName": self.nodes[0], "containers": [{"name": "c", "image": "img:1"}]}}
        body = {"metadata": {"name": name},
                "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template, **spec}}  # fmt: skip
        made = self.admin.create(self.path(resource), body)
        self.settled(f"app={name}", replicas)
        return made

    def settled(self, labels: str, count: int) -> list[Obj]:
        """The pods with these labels as soon as there are just so many, all ready and none ending."""

        def look() -> list[Obj] | None:
            pods = self.pods(labels)
            ready = [p for p in pods if any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", []))]
            return pods or [{}] if len(pods) == len(ready) == count and not any("deletionTimestamp" in p["metadata"] for p in pods) else None

        found = until(look, f"{count} ready pods {labels}")
        return [pod for pod in found if pod]


@pytest.fixture(scope="session")
def _box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    home = tmp_path_factory.mktemp("sandbox")
    with Sandbox("empty", home=home) as box:
        yield Cluster(False, Api(box.kubeconfig, home), box.kubeconfig, ("node-1", "node-2", "node-3"), home, box=box)


@pytest.fixture(scope="session")
def _plane(control_plane: Running, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    scratch = tmp_path_factory.mktemp("plane")
    kubeconfig = control_plane.token_kubeconfig
    return Cluster(True, Api(kubeconfig, scratch), kubeconfig, control_plane.nodes, scratch, plane=control_plane)


@pytest.fixture(params=["sandbox", "kubernetes"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Each of the two clusters, with a new namespace."""
    found: Cluster = request.getfixturevalue("_box" if request.param == "sandbox" else "_plane")
    found.namespace = f"contract-{next(_numbers)}"
    found.admin.create(kube.NAMESPACES.path(), {"metadata": {"name": found.namespace}})
    account = found.path(kube.SERVICEACCOUNTS, "default")
    until(lambda: found.admin.send("GET", account).status == 200, "the namespace has its ServiceAccount")
    yield found
    found.admin.send("DELETE", kube.NAMESPACES.path(name=found.namespace))
    assert found.box is None or not found.box.problems


@pytest.fixture(scope="session")
def _sandbox_vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultFace]:
    with Sandbox("empty", home=tmp_path_factory.mktemp("vault")) as box:
        box.database.create("vaultadmin", "adminpw")
        yield VaultFace(box.vault_url, box.vault_token, str(box.vault_ca), box.database.accepts, box.database.create, box.database.drop,
                        {"connection_url": "host=postgres"})  # fmt: skip


@pytest.fixture(scope="session")
def _openbao_vault(openbao: OpenBao, postgres: Postgres) -> VaultFace:
    postgres.role("vaultadmin", "adminpw", admin=True)
    url = f"postgresql://{{{{username}}}}:{{{{password}}}}@{postgres.host}:{postgres.port}/postgres?sslmode=verify-full&sslrootcert={postgres.ca}"

    def create(role: str, password: str) -> None:
        postgres.role(role, password, admin=True)

    def drop(role: str) -> None:
        with postgres.superuser() as connection:
            connection.execute(f'drop role "{role}"'.encode())

    return VaultFace(openbao.address, openbao.token, None, postgres.login, create, drop, {"connection_url": url})


@pytest.fixture(params=["sandbox", "openbao"])
def sealed_vault(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VaultFace]:
    if request.param == "openbao":
        own = request.getfixturevalue("own_openbao")()
        own.seal()
        yield VaultFace(own.address, own.token, None, lambda role, password: False, lambda role, password: None, lambda role: None, {})
        return
    with Sandbox("empty", home=tmp_path) as box:
        box.vault.sealed = True
        yield VaultFace(box.vault_url, box.vault_token, str(box.vault_ca), box.database.accepts, box.database.create, box.database.drop, {})


@pytest.fixture(params=["sandbox", "openbao"])
def vault(request: pytest.FixtureRequest) -> VaultFace:
    """Each of the two."""
    found: VaultFace = request.getfixturevalue("_sandbox_vault" if request.param == "sandbox" else "_openbao_vault")
    return found
