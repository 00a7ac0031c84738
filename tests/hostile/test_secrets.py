"""What must stay secret is said nowhere: not on the screen, not in journal, bag, copy, or in the list of processes."""

from __future__ import annotations

import base64
import gzip
import json
import stat
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from irkit.model.kube import CONFIGMAPS, SECRETS
from tests.e2e.running import PROGRAM
from tests.faults.harm import Answer, Request, anything, before
from tests.faults.proxy import Proxy
from tests.hostile.world import Laptop, World, edited, everything

VALUE, APPLIED, STRING, TOKEN, PLUGIN, BODY = (f"canary-{word}-5150" for word in ("value", "applied", "string", "token", "plugin", "body"))
SECRET = {
    "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "backend-secret", "namespace": "todo-app"}, "type": "Opaque",
    "stringData": {"PLAIN": STRING}, "data": {"PASSWORD": base64.b64encode(VALUE.encode()).decode()},
}  # fmt: skip


def forms(canary: str) -> list[bytes]:
    """A value as it may leak: plain, in base64 (at all three offsets), reversed, escaped."""
    plain = canary.encode()
    encoded = [base64.b64encode(b"x" * n + plain)[4 if n else 0 : -4] for n in range(3)]
    return [plain, *encoded, plain[::-1], plain.hex().encode()]


def found(canaries: list[str], *texts: bytes) -> list[str]:
    return [c for c in canaries for f in forms(c) for t in texts if f in t]


def seed(world: World) -> None:
    """A Secret whose value is in its data, in kubectl's annotation, and which the suspect mounts."""
    applied = json.dumps({**SECRET, "stringData": {"A": APPLIED}})
    body = {"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied}},
            "data": {"PASSWORD": base64.b64encode(VALUE.encode()).decode(), "PLAIN": base64.b64encode(STRING.encode()).decode()}}  # fmt: skip
    world.box.store.patch(SECRETS, "backend-secret", body, world.namespace)
    world.box.store.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "irkit-system"}})


def plugin(world: World, tmp_path: Path) -> Path:
    """A kubeconfig whose token comes from a plugin that is told a secret."""
    token = yaml.safe_load(Path(world.laptop.kubeconfig).read_text())["users"][0]["user"]["token"]
    script = tmp_path / "plugin.sh"
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": token}}
    script.write_text(f"#!/bin/sh\necho \"$SECRET_OF_PLUGIN\" >&2\necho '{json.dumps(credential)}'\n")
    script.chmod(0o700)
    entry = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(script), "interactiveMode": "Never",
             "env": [{"name": "SECRET_OF_PLUGIN", "value": PLUGIN}]}  # fmt: skip
    return edited(world.laptop.kubeconfig, tmp_path / "with-plugin", user={"exec": entry, "token": None})


class Watcher(threading.Thread):
    """Reads what any process of the machine may see of one process and its children, until it ends."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__(daemon=True)
        self.process, self.seen = process, set[bytes]()

    def run(self) -> None:
        while self.process.poll() is None:
            for pid in (str(self.process.pid), *self._children()):
                try:
                    self.seen.add(Path("/proc", pid, "cmdline").read_bytes())
                except OSError:
                    continue
            threading.Event().wait(0.002)

    def _children(self) -> list[str]:
        try:
            return Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        except OSError:
            return []


def watched(laptop: Laptop, *words: str) -> tuple[int, bytes, bytes]:
    """One run: its code, what it said, and what the list of processes had of it."""
    process = subprocess.Popen([str(PROGRAM), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=laptop.environ())
    watcher = Watcher(process)
    watcher.start()
    out, err = process.communicate(timeout=60)
    watcher.join(5)
    assert watcher.seen, "it was seen at least once"
    return process.returncode, out + err, b"\n".join(watcher.seen)


def test_no_command_says_what_is_secret(world: World, tmp_path: Path) -> None:
    seed(world)
    token = yaml.safe_load(Path(world.laptop.kubeconfig).read_text())["users"][0]["user"]["token"]
    laptop = replace(world.laptop, kubeconfig=plugin(world, tmp_path))
    canaries = [VALUE, APPLIED, STRING, PLUGIN, token]
    for words, code in (
        (("doctor",), 0),
        (("collect", *world.target), 0),
        (("contain", *world.target, "--yes"), 0),
        (("verify",), 0),
        (("verify", "-o", "json"), 0),
        (("bundle", "show"), 0),
        (("bundle", "show", "-o", "json"), 0),
        (("incident", "show"), 0),
        (("incident", "show", "-o", "json"), 0),
        (("resume", "-o", "json"), 0),
        (("lift", "--pod", "delete", "--yes"), 0),
    ):
        ended, said, processes = watched(laptop, *words)
        assert ended == code, said.decode()
        assert found(canaries, said, processes) == [], words
    kept = everything(laptop.home)
    assert b"PASSWORD" in kept, "that there is such a key is evidence"
    assert found(canaries, kept) == []
    copies = [o for _, o in world.box.store.everything() if o["kind"] == CONFIGMAPS.kind and o["metadata"]["name"].startswith("irkit-")]
    assert copies
    for copy in copies:
        assert found(canaries, *(gzip.decompress(base64.b64decode(v)) for v in copy["binaryData"].values())) == []


@pytest.mark.parametrize("status", [403, 422, *(pytest.param(n, marks=pytest.mark.slow) for n in (400, 401, 404, 409, 418, 500, 503))])
def test_error_bodies_are_not_repeated(world: World, status: int, tmp_path: Path) -> None:
    """A gateway or an admission webhook may put anything into an error; a ``kind: Status`` may be quoted, its data not."""
    bodies = (
        f"<html>{BODY}</html>".encode(),
        json.dumps({"kind": "Oops", "message": BODY}).encode(),
        json.dumps({"kind": "Status", "apiVersion": "v1", "message": "no \x1b[31m", "details": {"x": BODY}, "data": BODY}).encode(),
    )
    (tmp_path / "config.yaml").write_text("request-timeout: 1\nretry-budget: 0.3\n")
    with Proxy(Path(world.laptop.kubeconfig)) as proxy:
        laptop = replace(world.laptop, kubeconfig=proxy.kubeconfig, environment={"IRKIT_CONFIG": str(tmp_path / "config.yaml")})
        for body in bodies:
            for match in (anything, _lists, _secrets):
                proxy.heal()
                proxy.when(match, before(Answer(status, body, {"Content-Type": "application/json"})))
                for words in (("contain", *world.target, "--dry-run"), ("collect", *world.target)):
                    told = laptop.quick(*words).clean()
                    assert BODY.encode() not in told.stdout + told.stderr
                    assert told.code or match is not anything, "nothing works where every answer is an error"
    if laptop.home.exists():
        assert found([BODY], everything(laptop.home)) == []


def _lists(request: Request) -> bool:
    return request.path.endswith("/events")


def _secrets(request: Request) -> bool:
    return "/secrets" in request.path


def test_a_secret_of_hostile_keys(world: World) -> None:
    data = {"../../etc/passwd": "QQ==", "k" * 253: "QQ==", ".": "", "-": "not base64!", "x": "/w=="}
    world.box.store.patch(SECRETS, "backend-secret", {"data": data}, world.namespace)
    world.contain("--keep-workload")
    world.laptop.quick("bundle", "show").ended(0)
    world.laptop.quick("bundle", "verify").ended(0)


def test_the_key_of_the_hmacs_is_the_owners(world: World) -> None:
    world.contain("--keep-workload")
    keys = [p for p in world.incident().rglob("*") if p.is_file() and "key" in p.name]
    assert keys
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in keys)
    assert not any(world.bag() in p.parents for p in keys)
