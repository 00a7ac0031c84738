"""The whole of it: irkit's cluster, that Slack, and `irkit slack` as a process of its own between them."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import yaml

from irkit import wiring
from irkit.model.kube import CLUSTERROLEBINDINGS, CLUSTERROLES, PODS, SECRETS
from irkit.sandbox import Sandbox
from tests.slack.limits import Obj
from tests.slack.people import People
from tests.slack.server import APP, BOT, TEAM, Server

READS: list[Obj] = [  # what says what a pod is, and no log
    {"apiGroups": [""], "resources": ["pods", "namespaces", "events", "services"], "verbs": ["get", "list"]},
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["get", "list"]},
    {"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": ["get", "list"]},
]
WORDS = ["collect", "contain", "status", "blast-radius", "verify", "rehearse"]
SETTINGS: dict[str, Any] = {
    "team": TEAM,
    "channels": {"C0INC": {"commands": WORDS, "namespace": "todo-app"}, "C0OPS": {"commands": ["collect", "status"]}},
    "users": {"U0ANN": ["on-call"], "U0BOB": ["approvers"]},
    "approvers": {"contain": ["approvers"]},
}


class Irkit:
    """``irkit slack`` as a process; `lines` are its audit lines."""

    def __init__(self, environment: dict[str, str], *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "irkit", "slack", *words], env=environment, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)

    @property
    def lines(self) -> list[Obj]:
        return [json.loads(line) for line in list(self.said) if line.startswith("{")]

    def events(self, name: str) -> list[Obj]:
        return [line for line in self.lines if line["event"] == name]

    def end(self, *, kill: bool = False) -> int:
        """SIGTERM, unless it is to be killed; its exit code."""
        if self.process.poll() is None:
            (self.process.kill if kill else self.process.terminate)()
        code = self.process.wait(30)
        self._reader.join(5)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        return code


class World:
    """A context manager."""

    def __init__(self, home: Path, slack: Server, *, cluster: bool = True, settings: dict[str, Any] | None = None) -> None:
        """Without ``cluster``, for what needs none."""
        self.home, self.slack, self.people = home, slack, People(slack)
        self.settings = {**SETTINGS, **(settings or {})}
        self.extra: dict[str, Any] = {}
        self.kubeconfig = ""  # who irkit is; empty: the administrator of its own cluster
        self._box = Sandbox(scenario="todo-app", seed=0, home=home / "cluster", cluster=str(uuid4())) if cluster else None
        self._running: list[Irkit] = []

    def __enter__(self) -> Self:
        if self._box is not None:
            self._box.__enter__()
        self.irkit_home = self.home / "irkit"
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._running:
            one.end()
        if self._box is not None:
            self._box.__exit__(None, None, None)

    @property
    def environment(self) -> dict[str, str]:
        config = self.home / "config.yaml"
        written = config.with_suffix(".new")
        written.write_text(yaml.safe_dump({"slack": self.settings, **self.extra}))
        written.replace(config)  # whoever begins meanwhile reads all of it
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH")}
        box = self._box.environment if self._box is not None else {}
        me = {"KUBECONFIG": self.kubeconfig} if self.kubeconfig else {}
        return {**kept, **box, **me, "IRKIT_HOME": str(self.irkit_home), "IRKIT_CONFIG": str(config), "SLACK_APP_TOKEN": APP,
                "SLACK_BOT_TOKEN": BOT, "IRKIT_SLACK_BASE_URL": self.slack.address}  # fmt: skip

    def becomes(self, name: str, rules: list[Obj]) -> None:
        """From now on irkit is somebody of a group of that name, which may this in the whole cluster."""
        assert self._box is not None
        group = {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": name}
        role = {"kind": "ClusterRole", "apiGroup": "rbac.authorization.k8s.io", "name": name}
        with wiring.cluster(wiring.settings(kubeconfig=str(self._box.kubeconfig))) as cluster:
            cluster.create(CLUSTERROLES, {"metadata": {"name": name}, "rules": rules})
            cluster.create(CLUSTERROLEBINDINGS, {"metadata": {"name": name}, "subjects": [group], "roleRef": role})
        self.kubeconfig = str(self._box.token_for(name, [name]))

    def starts(self, *words: str, connections: int = 1) -> Irkit:
        """One more irkit; returns when Slack has so many connections."""
        made = Irkit(self.environment, *words)
        self._running.append(made)
        self.slack.connections(connections)
        return made

    def irkit(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command at a terminal that is none."""
        return subprocess.run([sys.executable, "-m", "irkit", *words], env=self.environment, capture_output=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL)  # fmt: skip

    def orders(self) -> list[Obj]:
        found = self.irkit("order", "list", "--all", "-o", "json")
        assert found.returncode == 0, found.stderr
        listed: list[Obj] = json.loads(found.stdout)
        return listed

    def pods(self, app: str = "backend") -> list[str]:
        """Names of that app's pods."""
        with wiring.cluster(wiring.settings(kubeconfig=self.environment["KUBECONFIG"])) as cluster:
            return sorted(n for p in cluster.list(PODS, "todo-app") if (n := p["metadata"]["name"]).startswith(app))

    def secrets(self) -> list[list[str]]:
        """The values of every Secret of the application."""
        with wiring.cluster(wiring.settings(kubeconfig=self.environment["KUBECONFIG"])) as cluster:
            found = cluster.list(SECRETS, "todo-app")
        return [[base64.b64decode(v).decode(errors="replace") for v in (s.get("data") or {}).values()] for s in found]

    def live(self, word: str, timeout: float = 20.0) -> Any:
        """The message in a thread that says so of an order. Raises AssertionError."""
        return until(lambda: next((m for m in list(self.slack.messages.values()) if m.get("thread_ts") and word in said(m)), None), timeout,
                     lambda: f"no message says {word!r}: {[said(m) for m in self.slack.messages.values()]}")  # fmt: skip

    def whisper(self, word: str, timeout: float = 20.0) -> Any:
        """What somebody was told alone."""
        return until(lambda: next((w for w in list(self.slack.whispers) if word in said(w)), None), timeout,
                     lambda: f"nobody was told {word!r}: {[said(w) for w in self.slack.whispers]}")  # fmt: skip


def said(message: Obj) -> str:
    """All that a reader sees of it, without markup."""
    return re.sub("[`*]", "", "\n".join(_texts(message.get("blocks", []))))


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [t for k, v in value.items() if not isinstance(v, str) for t in _texts(v)]
    return [t for v in value for t in _texts(v)] if isinstance(value, list) else []


def until(look: Callable[[], Any], timeout: float, why: Callable[[], str]) -> Any:
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.01)
    raise AssertionError(why())
