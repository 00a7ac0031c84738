"""A contained incident on the documented app, stand-ins for programs on PATH, and add-ons that undo what irkit does."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from irkit.app.redeploy import Wish, redeploy
from irkit.app.respond import Request, respond
from irkit.engine.result import RunResult
from irkit.errors import ConflictError, ScannerError, UnreachableError
from irkit.model.image import Scan, Signature
from irkit.model.kube import DEPLOYMENTS, NAMESPACES, Obj, ObjectRef, Resource
from irkit.sandbox.catalog import Served
from tests.engine.harness import Bench, bench

OLD = "registry.example/todo/backend:1.4.2"
NEW = f"registry.example/todo/backend@sha256:{'a' * 64}"
BACKEND = ObjectRef(resource=DEPLOYMENTS, name="backend", namespace="todo-app")


@dataclass
class Way:
    """A way out whose answers are given beforehand."""

    found: Scan | None = field(default_factory=lambda: Scan("trivy"))
    signature: Signature | None = None
    fails: str = ""
    status: dict[str, int] = field(default_factory=dict)  # by URL
    scanned: list[str] = field(default_factory=list)

    def resolve(self, image: str) -> str:
        return f"sha256:{'b' * 64}"

    def scan(self, image: str) -> Scan | None:
        self.scanned.append(image)
        if self.fails:
            raise ScannerError(self.fails)
        return self.found

    def signed(self, image: str) -> Signature | None:
        return self.signature

    def http(self, url: str, timeout: float) -> int:
        if url not in self.status:
            raise UnreachableError("Connection refused")
        return self.status[url]

    def tcp(self, host: str, port: int, timeout: float) -> None:
        raise UnreachableError("Connection refused")


@contextmanager
def contained(tmp_path: Path, way: Way | None = None, *objects: tuple[Resource, Obj], **settings: Any) -> Iterator[Bench]:
    """The app whose backend was contained: its workload is at 0. ``objects`` are there before."""
    with bench(tmp_path, **settings) as b:
        b.ports = msgspec.structs.replace(b.ports, outward=way or Way())
        for resource, obj in objects:
            add(b, resource, obj)
        assert respond(b.ports, b.request()).exit_code == 0
        b.approver.asked.clear()
        yield b


def add(b: Bench, resource: Resource, obj: Obj) -> None:
    b.box.store.catalog.add(Served(resource))
    with suppress(ConflictError):
        b.ports.cluster.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": obj["metadata"]["namespace"]}})
    b.ports.cluster.create(resource, {"apiVersion": resource.api_version, "kind": resource.kind, **obj})


def put_back(b: Bench, image: str = NEW, target: str = "deployment/backend", **wish: Any) -> RunResult:
    request = Request(command="redeploy", playbook="redeploy", target=target, namespace="todo-app")
    return redeploy(b.ports, Wish(image=image, **wish), request)


def backend(b: Bench) -> Obj:
    return b.ports.cluster.get(BACKEND)


def image_of(b: Bench) -> str:
    return str(backend(b)["spec"]["template"]["spec"]["containers"][0]["image"])


def program(folder: Path, name: str, printed: object = "", code: int = 0, said: str = "", seconds: float = 0) -> Path:
    """A stand-in executable: it keeps its arguments, prints what was recorded, and ends."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    text = printed if isinstance(printed, str) else json.dumps(printed)
    (folder / f"{name}.out").write_text(text)
    path.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {folder / name}.argv\nsleep {seconds}\ncat {folder / name}.out\necho '{said}' >&2\nexit {code}\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def report(*found: tuple[str, str]) -> Obj:
    """A Trivy report with these vulnerabilities: (id, severity)."""
    entries: Sequence[Obj] = [{"VulnerabilityID": i, "PkgName": "openssl", "FixedVersion": "3.0.14", "Severity": s} for i, s in found]
    return {"SchemaVersion": 2, "ArtifactName": NEW, "Results": [{"Target": "os", "Class": "os-pkgs", "Vulnerabilities": entries}, {"Target": "app"}]}
