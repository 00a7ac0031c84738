"""Credential plugins, by real programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from irkit.adapters import kubeconfig
from irkit.adapters.execplugin import ExecPlugin
from irkit.errors import ForbiddenError, KubeconfigError
from irkit.model.kube import PODS, ObjectRef
from tests.adapters.scripted import Scripted, answer, cluster_at, status

API = "client.authentication.k8s.io/v1"
SECRET = "hunter2-hunter2"
POD = ObjectRef(resource=PODS, name="web", namespace="shop")


def program(directory: Path, body: str, name: str = "plugin") -> Path:
    """A plugin that runs ``body`` with what it was told as ``told``, its call as ``call``; ``out(**status)`` prints the credential."""
    directory.mkdir(exist_ok=True)
    file = directory / name
    file.write_text(f"""#!{sys.executable}
import json, os, sys, time, pathlib
told = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
here = pathlib.Path({str(directory)!r})
with open(here / "calls", "a") as calls:
    calls.write("x")
call = len((here / "calls").read_text())
def out(**status):
    print(json.dumps({{"apiVersion": told["apiVersion"], "kind": "ExecCredential", "status": status}}))
{body}
""")
    file.chmod(0o700)
    return file


def source(directory: Path, cluster: dict[str, Any] | None = None, environ: dict[str, str] | None = None, **exec_: object) -> ExecPlugin:
    file = directory / "config"
    spec = {"apiVersion": API, "interactiveMode": "Never", **exec_}
    file.write_text(json.dumps({
        "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://h", **(cluster or {})}}], "users": [{"name": "u", "user": {"exec": spec}}],
    }))  # fmt: skip
    found = kubeconfig.load(str(file), "", environ if environ is not None else dict(os.environ)).credentials
    assert isinstance(found, ExecPlugin)
    return found


def test_a_token_is_kept_while_it_is_good(tmp_path: Path) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    program(tmp_path, 'out(token=f"t{call}", expirationTimestamp="2026-11-22T00:10:00Z")')
    plugin = source(tmp_path, command="./plugin")
    clock = [now]
    plugin.now = lambda: clock[0]
    assert [plugin.current().authorization for _ in range(3)] == ["Bearer t1"] * 3
    clock[0] = now + timedelta(minutes=9, seconds=55)
    assert plugin.current().authorization == "Bearer t2"
    clock[0] = now
    old = plugin.current()
    assert old.authorization == "Bearer t2"
    assert plugin.renew(old)
    assert plugin.current().authorization == "Bearer t3"
    assert plugin.renew(old), "refused to another thread, which has had it renewed already"
    assert plugin.current().authorization == "Bearer t3"


def test_a_token_without_an_end_is_asked_for_once_by_many_threads(tmp_path: Path) -> None:
    program(tmp_path, 'time.sleep(0.1); out(token=f"t{call}")')
    plugin = source(tmp_path, command="./plugin")
    with ThreadPoolExecutor(8) as pool:
        assert {c.authorization for c in pool.map(lambda _: plugin.current(), range(16))} == {"Bearer t1"}


def test_what_a_plugin_is_told(tmp_path: Path) -> None:
    body = '(here / "seen").write_text(json.dumps([told, sys.argv[1:], os.environ["REGION"], sys.stdin.read()])); out(token="t")'
    program(tmp_path, body)
    (tmp_path / "ca").write_bytes(b"pem")
    cluster = {
        "tls-server-name": "n", "certificate-authority": "ca", "proxy-url": "http://p:1",
        "extensions": [{"name": "other", "extension": 1}, {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}],
    }  # fmt: skip
    env = [{"name": "REGION", "value": "eu"}]
    source(tmp_path, cluster, command="./plugin", args=["get-token", 7], env=env, provideClusterInfo=True).current()
    told, arguments, region, stdin = json.loads((tmp_path / "seen").read_text())
    assert told == {"apiVersion": API, "kind": "ExecCredential", "spec": {"interactive": False, "cluster": {
        "server": "https://h", "tls-server-name": "n", "proxy-url": "http://p:1", "certificate-authority-data": "cGVt",
        "config": {"audience": "x"}}}}  # fmt: skip
    assert (arguments, region, stdin) == (["get-token", "7"], "eu", "")
    source(tmp_path, cluster, command="./plugin", env=env).current()
    assert "cluster" not in json.loads((tmp_path / "seen").read_text())[0]["spec"]


def test_where_a_command_is_sought(tmp_path: Path) -> None:
    program(tmp_path / "bin", 'out(token="relative")')
    program(tmp_path / "path", 'out(token="from-path")', "my-plugin")
    assert source(tmp_path, command="bin/plugin").current().authorization == "Bearer relative"
    assert source(tmp_path, command=str(tmp_path / "bin" / "plugin")).current().authorization == "Bearer relative"
    environ = {"PATH": str(tmp_path / "path")}
    assert source(tmp_path, environ=environ, command="my-plugin").current().authorization == "Bearer from-path"


def test_the_beta_version(tmp_path: Path) -> None:
    program(tmp_path, 'out(token="t")')
    assert source(tmp_path, command="./plugin", apiVersion="client.authentication.k8s.io/v1beta1").current().authorization == "Bearer t"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (f'print("{SECRET}")', "printed no JSON"),
        (f'print(json.dumps(["{SECRET}"]))', "printed no ExecCredential"),
        (f'print(json.dumps({{"kind": "ExecCredential", "status": {{"token": "{SECRET}"}}}}))', "printed None, and the kubeconfig expects client"),
        (f'out(clientKeyData="{SECRET}")', "neither a token nor a client certificate with its key"),
        ("out()", "neither a token nor"),
        (f'out(token="{SECRET}\\nX: y")', "characters that no token has"),
        (f'out(token="{SECRET}", expirationTimestamp="tomorrow")', "expirationTimestamp that is no time"),
        ('sys.stderr.write("\\x1b[31mlog in\\n" + "x" * 999); sys.exit(3)', r"ended with 3: \x1b[31mlog in\nxxx"),
        ("sys.exit(1)", "ended with 1"),
    ],
)
def test_a_plugin_that_fails_is_named(tmp_path: Path, body: str, says: str) -> None:
    program(tmp_path, body)
    with pytest.raises(KubeconfigError) as caught:
        source(tmp_path, command="./plugin").current()
    message = caught.value.message
    assert message.startswith(f"user u in {tmp_path / 'config'}: ")
    assert says in message
    assert len(message) < 700
    assert SECRET not in message
    assert message.isprintable()


def test_a_plugin_that_is_not_there_brings_its_hint(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match="can't run no-such-plugin: No such file") as caught:
        source(tmp_path, command="no-such-plugin", installHint="pip install\nit").current()
    assert caught.value.next == r"pip install\nit"


def test_a_plugin_that_hangs_is_ended(tmp_path: Path) -> None:
    program(tmp_path, "time.sleep(60)")
    plugin = source(tmp_path, command="./plugin")
    plugin.timeout = 0.5
    with pytest.raises(KubeconfigError, match=r"did not answer in 0\.5 s"):
        plugin.current()


def test_a_plugin_that_must_ask_is_not_run_where_nobody_can_be_asked(tmp_path: Path) -> None:
    program(tmp_path, 'out(token="t")')
    assert not sys.stdin.isatty()
    with pytest.raises(KubeconfigError, match="asks a person, and there is no terminal"):
        source(tmp_path, command="./plugin", interactiveMode="Always").current()
    assert not (tmp_path / "calls").exists()


def test_a_plugin_may_ask_the_person_at_the_terminal(tmp_path: Path) -> None:
    program(tmp_path, 'sys.stderr.write("code? "); sys.stderr.flush(); out(token=sys.stdin.readline().strip() + str(told["spec"]["interactive"]))')
    source(tmp_path, command="./plugin", interactiveMode="Always")
    code = f"""
from irkit.adapters import kubeconfig
print(kubeconfig.load({str(tmp_path / "config")!r}, "", {{}}).credentials.current().authorization)
"""
    master, slave = os.openpty()
    try:
        os.write(master, b"1234\n")
        done = subprocess.run([sys.executable, "-c", code], stdin=slave, capture_output=True, text=True, timeout=60)
    finally:
        os.close(master)
        os.close(slave)
    assert (done.stdout, done.stderr) == ("Bearer 1234True\n", "code? ")


@pytest.mark.parametrize(
    ("exec_", "says"),
    [
        ({}, "exec names no command"),
        ({"command": "x", "apiVersion": "client.authentication.k8s.io/v1alpha1"}, "exec has apiVersion client.authentication.k8s.io/v1alpha1"),
        ({"command": "x", "args": "y"}, "args and env of exec must be lists"),
        ({"command": "x", "env": ["y"]}, "args and env of exec must be lists"),
        ({"command": "x", "provideClusterInfo": "y"}, "must be true or false"),
    ],
)
def test_an_entry_that_is_wrong(tmp_path: Path, exec_: dict[str, Any], says: str) -> None:
    with pytest.raises(KubeconfigError, match=says):
        source(tmp_path, **exec_)


def test_a_token_that_is_refused_is_asked_for_again_once(tmp_path: Path) -> None:
    program(tmp_path, 'out(token=f"t{call}")')
    user = {"exec": {"apiVersion": API, "interactiveMode": "Never", "command": "./plugin"}}
    with Scripted((status(401, "expired"), answer(body={"kind": "Pod"}))) as server:
        assert cluster_at(tmp_path, server.url, user=user, environ=dict(os.environ)).get(POD) == {"kind": "Pod"}
    assert [r.headers["authorization"] for r in server.requests] == ["Bearer t1", "Bearer t2"]
    with Scripted((status(401, "expired"),)) as server, pytest.raises(ForbiddenError):
        cluster_at(tmp_path, server.url, user=user, environ=dict(os.environ)).get(POD)
    assert len(server.requests) == 2
