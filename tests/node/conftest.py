"""The Todo app on the real node, and irkit as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.controlplane.running import Obj, Running
from tests.node.app import Todo, busybox, listening, manifests


@dataclass(frozen=True)
class Ran:
    """What a run of irkit left: its exit code, its document, what it said on stderr."""

    code: int
    document: Obj
    stderr: str

    @property
    def bag(self) -> Path:
        return Path(self.document["evidence"]["bundle"])


@dataclass(frozen=True)
class Irkit:
    """The installed program with a home of its own."""

    plane: Running
    home: Path

    @property
    def environ(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("IRKIT_", "KUBE", "XDG_"))}
        return {**kept, "HOME": str(self.home), "IRKIT_HOME": str(self.home / "state"), "KUBECONFIG": str(self.plane.admin_kubeconfig)}

    def command(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).with_name("irkit")), *arguments]

    def __call__(self, *arguments: str, code: int = 0) -> Ran:
        """Run it to its end, which must be ``code``."""
        command = self.command(*arguments, "-o", "json")
        done = subprocess.run(command, env=self.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == code, f"irkit {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return Ran(done.returncode, json.loads(done.stdout), done.stderr)


@pytest.fixture
def irkit(real_node: Running, tmp_path: Path) -> Irkit:
    """irkit as the administrator of the real node's cluster."""
    return Irkit(real_node, tmp_path)


@pytest.fixture(scope="module")
def todo(real_node: Running) -> Iterator[Todo]:
    """The Todo app; tests leave it as they found it."""
    namespace, elsewhere = "todo-app", "elsewhere"
    for name in (namespace, elsewhere):
        real_node.kubectl("create", "namespace", name)
        real_node.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=20s")
    try:
        listener = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "listener"}, "spec": busybox("listener", listening(443))}
        real_node.apply(listener, namespace=elsewhere)
        real_node.apply(*manifests(namespace))
        real_node.pods(namespace, count=8, seconds=60)
        yield Todo(real_node, namespace, real_node.pods(elsewhere, count=1)[0]["status"]["podIP"])
    finally:
        real_node.kubectl("delete", "namespace", namespace, elsewhere, "--timeout=60s")
