"""A control plane as tests use it: kubectl, users, logs of pods, and what the audit log saw."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from tests.controlplane import binaries
from tests.controlplane.cluster import ControlPlane, alive

Obj = dict[str, Any]
MARKER = "/version?marker="
HOMES = Path(tempfile.gettempdir()) / f"irkit-controlplane-{os.getuid()}"


@dataclass(frozen=True)
class User:
    """Somebody who may do what was granted and nothing else."""

    name: str
    kubeconfig: Path


@dataclass
class Running:
    """A control plane that is up, in ``home``."""

    home: Path
    nodes: tuple[str, ...]
    _spare: Iterator[int] = field(default_factory=itertools.count)

    @property
    def admin_kubeconfig(self) -> Path:
        """system:masters by client certificate."""
        return self.home / "admin.kubeconfig"

    @property
    def token_kubeconfig(self) -> Path:
        """system:masters by bearer token."""
        return self.home / "token.kubeconfig"

    @property
    def viewer_kubeconfig(self) -> Path:
        """User ``viewer``, who has no rights but those that a test grants."""
        return self.home / "viewer.kubeconfig"

    @property
    def ca(self) -> Path:
        return self.home / "pki" / "ca.crt"

    @cached_property
    def url(self) -> str:
        url: str = json.loads(self.admin_kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
        return url

    @property
    def kubectl_program(self) -> Path:
        return binaries.find("kubectl")

    def kubectl(
        self, *arguments: str, stdin: str | Obj | None = None, kubeconfig: Path | None = None, check: bool = True, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl, as the administrator by default. With ``check``, a failure is an AssertionError with what it said."""
        command = [
            str(self.kubectl_program),
            f"--kubeconfig={kubeconfig or self.admin_kubeconfig}",
            f"--cache-dir={self.home}/kubectl-cache",
            *arguments,
        ]
        text = json.dumps(stdin) if isinstance(stdin, dict) else stdin or ""
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=timeout, check=False)
        assert not check or done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr.strip()}"
        return done

    def get(self, *arguments: str) -> Obj:
        """``kubectl get … -o json``, parsed."""
        found: Obj = json.loads(self.kubectl("get", *arguments, "-o", "json").stdout)
        return found

    def apply(self, *objects: Obj | str, namespace: str = "") -> None:
        """Apply manifests: objects, or YAML text. ``namespace`` is for those that name none."""
        where = ["-n", namespace] if namespace else []
        for text in (o for o in objects if isinstance(o, str)):
            self.kubectl("apply", *where, "-f", "-", stdin=text)
        if items := [o for o in objects if isinstance(o, dict)]:
            self.kubectl("apply", *where, "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": items})

    def pods(self, namespace: str, selector: str = "", *, count: int | None = None, seconds: float = 30) -> list[Obj]:
        """The pods that run; with ``count``, as soon as there are just that many of them, and none that is pending or ending."""
        until = time.monotonic() + seconds
        while True:
            items: list[Obj] = self.get("pods", "-n", namespace, "-l", selector)["items"]
            running = [p for p in items if p["status"].get("phase") == "Running" and "deletionTimestamp" not in p["metadata"]]
            if count is None or (len(running) == len(items) == count):
                return running
            assert time.monotonic() < until, f"{len(running)} of {count} pods {selector} run in {namespace} after {seconds} s"
            time.sleep(0.1)

    # users

    def user(self, manifests: str = "", *objects: Obj) -> User:
        """The next spare user, bound to each Role and ClusterRole among the manifests, which are applied."""
        number = next(self._spare)
        user = User(f"user-{number}", self.home / "users" / f"user-{number}.kubeconfig")
        assert user.kubeconfig.exists(), "no spare user is left: raise USERS in cluster.py"
        objects += tuple(o for o in yaml.safe_load_all(manifests) if o)
        roles = [o for o in objects if o["kind"] in ("Role", "ClusterRole")]
        if objects:
            self.apply(*objects, *(_binding(role, user.name) for role in roles))
        return user

    # logs of simulated pods

    def set_logs(self, namespace: str, pod: str, logs: Mapping[str, Iterable[bytes]], previous: Mapping[str, Iterable[bytes]] | None = None) -> None:
        """What each container of a simulated pod "logged": lines without their newline, by container, of this run and of the one before it."""
        entries = []
        for container in {**logs, **(previous or {})}:
            entry: Obj = {"containers": [container]}
            for key, source in (("logsFile", logs), ("previousLogsFile", previous or {})):
                if container in source:
                    path = self.home / "logs" / namespace / pod / f"{container}.{key}.log"
                    write_cri(path, source[container])
                    entry[key] = str(path)
            entries.append(entry)
        self.apply(
            {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Logs", "metadata": {"name": pod, "namespace": namespace}, "spec": {"logs": entries}}
        )

    # the audit log

    def mark(self) -> int:
        """A place in the audit log: everything that was answered before is before it."""
        self._settle()
        return (self.home / "log" / "audit.jsonl").stat().st_size

    def audit(self, since: int = 0, *, agent: str = "") -> list[Obj]:
        """The requests that were answered since ``mark``, in the order of the log, of clients whose User-Agent begins with ``agent``."""
        self._settle()
        with (self.home / "log" / "audit.jsonl").open("rb") as log:
            log.seek(since)
            events = [json.loads(line) for line in log]
        return [e for e in events if e.get("userAgent", "").startswith(agent) and MARKER not in e["requestURI"]]

    def _settle(self, seconds: float = 10) -> None:
        """Send a request that can be told from all others, and wait until the log has it, and with it what came before."""
        marker = secrets.token_hex(8)
        self.kubectl("get", "--raw", f"{MARKER}{marker}")
        until = time.monotonic() + seconds
        while marker.encode() not in _tail(self.home / "log" / "audit.jsonl"):
            assert time.monotonic() < until, "the audit log does not go on"
            time.sleep(0.02)
        time.sleep(0.05)  # an event is written just after its answer: another request's may still be on its way


@contextlib.contextmanager
def running(*, nodes: int) -> Iterator[Running]:
    """A control plane for the time of a block. It ends with this process, even when that is killed."""
    HOMES.mkdir(mode=0o700, exist_ok=True)
    for left in HOMES.iterdir():  # by a run that was killed
        if not alive(int(left.name.partition("-")[0])):
            shutil.rmtree(left, ignore_errors=True)
    plane = ControlPlane(HOMES / f"{os.getpid()}-{secrets.token_hex(2)}", bound=True)
    try:
        plane.up(nodes=nodes)
        yield Running(plane.home, tuple(f"node-{n}" for n in range(nodes)))
    finally:
        plane.down()


def _tail(path: Path, count: int = 200_000) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - count))
        return file.read()


def _binding(role: Obj, user: str) -> Obj:
    meta = {"name": f"{role['metadata']['name']}-{user}"}
    if role["kind"] == "Role":
        meta["namespace"] = role["metadata"]["namespace"]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": f"{role['kind']}Binding",
        "metadata": meta,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": role["metadata"]["name"]},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }


def write_cri(path: Path, lines: Iterable[bytes]) -> None:
    """A log file as a container runtime writes it: time, stream, F for a whole line or P for a part of one, the bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with path.open("wb") as file:
        for number, line in enumerate(lines):
            stamp = f"{start + timedelta(milliseconds=number):%Y-%m-%dT%H:%M:%S.%f}000Z".encode()
            parts = [line[at : at + 16384] for at in range(0, len(line), 16384)] or [b""]
            for part in parts[:-1]:
                file.write(b"%b stdout P %b\n" % (stamp, part))
            file.write(b"%b stdout F %b\n" % (stamp, parts[-1]))
