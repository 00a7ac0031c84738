"""Commands inside simulated containers answer from the spec, whatever they are given, and start nothing on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from irkit.model import kube
from irkit.sandbox import Sandbox, shell
from irkit.sandbox.api.execution import frame
from irkit.sandbox.shell import Inside, NoSuchProgram, run
from tests.contracts.client import Api, until

HOSTILE = ["", "..", "/", "../../../../etc/shadow", "a\x00b", "\x1b[31m", "$(id)", "`id`", "; rm -rf /", "x" * 100_000, "\ud800", "-"]


@pytest.fixture
def inside(tmp_path: Path) -> Inside:
    box = Sandbox("empty", home=tmp_path)
    box.store.add({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "default"}, "stringData": {"password": "hunter2"}})
    box.store.add({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}, "data": {"MODE": "prod"}})
    env = [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "password"}}}, {"name": "PLAIN", "value": "text"},
           {"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
           {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "nope", "key": "x"}}}]  # fmt: skip
    container: dict[str, Any] = {
        "name": "c", "image": "r.example:5000/shop/api:1@sha256:00", "env": env, "envFrom": [{"configMapRef": {"name": "c"}, "prefix": "C_"}],
        "ports": [{"containerPort": 8000}],
        "securityContext": {"runAsUser": 1000}, "volumeMounts": [{"name": "v", "mountPath": "/secrets/"}]}  # fmt: skip
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default"},
           "spec": {"containers": [container], "volumes": [{"name": "v", "secret": {"secretName": "s"}}]}}  # fmt: skip
    return Inside(box.store, box.store.add(pod), container)


def out(inside: Inside, *command: str) -> str:
    printed = run(inside, command)
    assert (printed.err, printed.code) == (b"", 0)
    return printed.out.decode()


def test_the_environment_is_as_in_a_real_container(inside: Inside) -> None:
    assert {"PASSWORD=hunter2", "PLAIN=text", "ME=p", "NONE=", "C_MODE=prod", "HOSTNAME=p"} <= set(out(inside, "env").splitlines())
    assert out(inside, "sh", "-c", "echo $PASSWORD is it") == "hunter2 is it\n"


def test_mounted_secrets_can_be_read(inside: Inside) -> None:
    assert out(inside, "ls", "/secrets") == "password\n"
    assert out(inside, "cat", "/secrets/password") == "hunter2"
    assert "secrets" in out(inside, "/bin/ls", "-la", "/").split()


def test_who_and_what_runs(inside: Inside) -> None:
    assert out(inside, "id").startswith("uid=1000 ")
    assert out(inside, "ps").splitlines()[1].split() == ["1", "1000", "0:00", "api"]
    assert "0.0.0.0:8000" in out(inside, "netstat", "-tln")


@pytest.mark.parametrize("program", ["cat", "ls", "echo", "sh", "id", "env", "ss", "bash"])
@pytest.mark.parametrize("word", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_words_are_only_words(inside: Inside, program: str, word: str) -> None:
    for command in ([program, word], [program, "-c", word], [word, program]):
        try:
            printed = run(inside, command)
        except NoSuchProgram:
            continue
        assert isinstance(printed.out + printed.err, bytes)


def test_there_is_nothing_to_run_anything_with() -> None:
    assert not {"subprocess", "os", "pty", "Path", "open"} & set(vars(shell))


def test_frames_of_every_length() -> None:
    for size, head in ((0, b"\x82\x00"), (125, b"\x82\x7d"), (126, b"\x82\x7e\x00\x7e"), (65536, b"\x82\x7f" + (65536).to_bytes(8, "big"))):
        assert frame(2, b"x" * size) == head + b"x" * size


def test_what_is_no_upgrade_is_refused(box: Sandbox, api: Api) -> None:
    path = kube.PODS.path(*box.suspect, "exec")
    for query, why in (
        ("?command=id&stdout=true", "Upgrade request required"),
        ("", "at least 1 command"),
        ("?container=no&command=id", "not valid"),
    ):
        reply = api.send("GET", path + query)
        assert (reply.status, reply.json["reason"]) == (400, "BadRequest")
        assert why in reply.json["message"]
    api.create(
        kube.PODS.path("todo-app"), {"metadata": {"name": "w"}, "spec": {"nodeSelector": {"a": "b"}, "containers": [{"name": "c", "image": "i"}]}}
    )
    reply = until(lambda: api.send("GET", f"{kube.PODS.path('todo-app', 'w', 'exec')}?command=id"), "it is answered")
    assert reply.json["message"] == "pod w does not have a host assigned"
