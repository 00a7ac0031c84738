"""No way to the cluster, a false one, or one to another cluster: which is said, with its exit code, and nothing is changed."""

from __future__ import annotations

import base64
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from irkit.sandbox import Sandbox
from irkit.sandbox import tls as identities
from tests.hostile.world import Laptop, World, edited

COMMANDS = [("contain", "--yes"), ("collect",), ("verify",)]


def words(world: World, command: tuple[str, ...]) -> tuple[str, ...]:
    return (command[0], *world.target, *command[1:])


@pytest.mark.parametrize("command", COMMANDS)
def test_no_kubeconfig(quiet: World, command: tuple[str, ...], tmp_path: Path) -> None:
    for kubeconfig in ("", tmp_path / "nothing-here"):
        _, error = replace(quiet.laptop, kubeconfig=kubeconfig).both(*words(quiet, command), code=2)
        assert "kubeconfig" in error["message"].lower()
    assert not (quiet.laptop.home / "incidents").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff",
        b"a: [",
        b"- 1",
        b'current-context: "\\e[31m"',
        b"&a [*a]",
        b"clusters: {a: b}\ncurrent-context: x",
        b"x: " + b"[" * 100_000,
        b"!!python/object/apply:os.system ['true']",
    ],
)
def test_a_kubeconfig_that_is_none(quiet: World, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "kubeconfig"
    file.write_bytes(content)
    _, error = replace(quiet.laptop, kubeconfig=file).both(*words(quiet, COMMANDS[0]), code=2)
    assert len(error["message"]) < 600


@pytest.mark.parametrize("command", COMMANDS)
def test_a_token_that_is_not_taken(quiet: World, command: tuple[str, ...], tmp_path: Path) -> None:
    wrong = edited(quiet.laptop.kubeconfig, tmp_path / "wrong", user={"token": "canary-token-4711"})
    told, error = replace(quiet.laptop, kubeconfig=wrong).both(*words(quiet, command), code=4)
    assert "rehearsal" in error["message"] or "token" in error["message"] or "credential" in error["message"]
    assert b"canary-token-4711" not in told.stdout + told.stderr
    assert not (quiet.laptop.home / "incidents").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_certificate_of_another_authority(quiet: World, command: tuple[str, ...], tmp_path: Path) -> None:
    other = base64.b64encode(identities.make().ca).decode()
    wrong = edited(quiet.laptop.kubeconfig, tmp_path / "wrong", cluster={"certificate-authority-data": other})
    _, error = replace(quiet.laptop, kubeconfig=wrong).both(*words(quiet, command), code=7)
    assert "certificate" in error["message"]
    assert not (quiet.laptop.home / "incidents").exists()


def test_a_server_that_is_not_there_is_said_soon(quiet: World, tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # a port that nobody serves, and nobody else can take meanwhile
        wrong = edited(quiet.laptop.kubeconfig, tmp_path / "wrong", cluster={"server": f"https://127.0.0.1:{held.getsockname()[1]}"})
        began = time.monotonic()
        told = replace(quiet.laptop, kubeconfig=wrong).run("contain", *quiet.target, "--yes", timeout=45).ended(7)
        assert time.monotonic() - began < 35, "the retry budget bounds it"
        assert str(held.getsockname()[1]) in told.complaint


def test_a_server_that_speaks_no_tls_or_no_http(quiet: World, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.01)
        laptop = hasty(quiet, tmp_path, f"https://127.0.0.1:{server.getsockname()[1]}")
        began = time.monotonic()
        laptop.run("contain", *quiet.target, "--yes", timeout=20).ended(7)
        assert time.monotonic() - began < 10


def hasty(world: World, tmp_path: Path, server: str) -> Laptop:
    """With a server that may never answer, and little patience."""
    config = tmp_path / "hasty.yaml"
    config.write_text(yaml.safe_dump({"request-timeout": 0.5, "retry-budget": 1.0}))
    file = edited(world.laptop.kubeconfig, tmp_path / "elsewhere", cluster={"server": server})
    return replace(world.laptop, kubeconfig=file, environment={"IRKIT_CONFIG": str(config)})


def test_an_incident_is_of_its_cluster_alone(world: World, tmp_path: Path) -> None:
    world.contain("--keep-workload")
    (incident,) = world.laptop.quick("incident", "list", "-o", "json").document["items"]
    with Sandbox(home=tmp_path / "other-box", seed=1) as other:
        theirs = edited(other.kubeconfig, tmp_path / "other")
        text = theirs.read_text().replace("rehearsal", "staging")
        theirs.write_text(text)
        here = replace(world.laptop, kubeconfig=theirs)
        for command in (("resume",), ("lift", "--yes"), ("lift", "--pod", "delete", "--yes"), ("verify",)):
            _, error = here.both(command[0], incident["id"], *command[1:], code=8)
            assert "rehearsal" in error["message"], "the cluster of the incident is named"
            assert "staging" in error["message"], "and so is the one that was asked"
            assert "--context rehearsal" in error["next"]
        here.both("lift", "--yes", code=2)  # without an id, only this cluster's incidents are looked at
        assert World(other, here).writes() == []


def test_a_kubeconfig_may_be_called_anything(world: World, tmp_path: Path) -> None:
    name = "\x1b[31mprod\u202e\n\rverdict: isolated"
    document = yaml.safe_load(Path(world.laptop.kubeconfig).read_text())
    document["contexts"][0]["name"] = document["current-context"] = name
    file = tmp_path / "named"
    file.write_text(yaml.safe_dump(document))
    laptop = replace(world.laptop, kubeconfig=file)
    laptop.quick("contain", *world.target, "--yes").ended(0)
    for command in (("incident", "list"), ("incident", "show"), ("doctor",), ("verify",), ("bundle", "show"), ("lift", "--yes")):
        told = laptop.quick(*command).ended(0)
        assert told.said.count("\nverdict: isolated\n") == 0


def test_what_you_may_not_is_named_with_the_role_that_would_do(world: World) -> None:
    """All of it at once: whoever asks an administrator at night asks once."""
    viewer = world.box.token_for("eve\x1b[31m@example.com")
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "eve", "namespace": world.namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "eve\x1b[31m@example.com"}],
    }
    world.box.store.add(binding)
    laptop = replace(world.laptop, kubeconfig=viewer)
    _, error = laptop.both("contain", *world.target, "--yes", code=4)
    for missing in ("create networkpolicies", "patch pods", "patch deployments/scale"):
        assert missing in error["message"]
    assert "irkit playbook rbac compromised-pod" in error["message"] + error["next"]
    assert world.writes() == []
    assert not (laptop.home / "incidents").exists()
