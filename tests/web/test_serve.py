"""`irkit serve` as a process of its own, on the rehearsal cluster."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from irkit.adapters.kubernetes import connect
from irkit.model.kube import NAMESPACES
from irkit.sandbox import Sandbox
from irkit.settings import load
from tests.e2e.running import Answer
from tests.web.desk import TOKEN, firing, token_settings
from tests.web.test_metrics import parsed

RULES = """
apiVersion: irkit.dev/v1
kind: Rules
rules:
  - name: evidence
    match: {source: alertmanager, severity: high}
    run: {command: collect}
  - name: cut
    match: {source: alertmanager, name: CryptoMiner}
    run: {command: contain}
"""


@dataclass
class Place:
    home: Path
    environment: Mapping[str, str]

    def settings(self, rules: str = RULES, orders: Mapping[str, object] = {}, **serve: object) -> None:
        (self.home / "rules.yaml").write_text(rules)
        section = {"rules": str(self.home / "rules.yaml"), "sources": {"alertmanager": token_settings(format="alertmanager")}, **serve}
        (self.home / "irkit.yaml").write_text(json.dumps({"serve": section, "orders": orders}))

    def irkit(self, *words: str) -> Answer:
        done = subprocess.run([sys.executable, "-m", "irkit", *words], env=self.environment, capture_output=True, text=True, timeout=60)
        return Answer(done.returncode, done.stdout, done.stderr)

    def orders(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.irkit("order", "list", "--all", "-o", "json").ended(0).stdout)
        return found


def place(home: Path, cluster: Mapping[str, str]) -> Place:
    own = {"IRKIT_HOME": str(home / "state"), "IRKIT_CONFIG": str(home / "irkit.yaml"), "HOME": str(home)}
    found = Place(home, {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **cluster, **own})
    found.settings()
    return found


def unanswered(file: Path, port: int) -> None:
    """A kubeconfig for a cluster at a port where nobody listens."""
    file.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "clusters": [{"name": "a", "cluster": {"server": f"http://127.0.0.1:{port}"}}], "users": [{"name": "a", "user": {"token": "x"}}],
    }))  # fmt: skip


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox("todo-app", home=tmp_path / "box") as started:
        yield started


@pytest.fixture
def here(tmp_path: Path, box: Sandbox) -> Place:
    return place(tmp_path, box.environment)


@dataclass
class Started:
    process: subprocess.Popen[str]
    port: int
    log: Path

    def ask(self, method: str, path: str, document: object = None, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            body = b"" if document is None else json.dumps(document).encode()
            connection.request(method, path, body, dict(headers or {"Authorization": f"Bearer {TOKEN}"}))
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def text(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as answer:
            found: bytes = answer.read()
        return found.decode()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def until(wanted: Any, seconds: float = 30.0) -> Any:
    """What ``wanted`` returns, once that is true."""
    end = time.monotonic() + seconds
    while not (found := wanted()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


@contextlib.contextmanager
def started(here: Place, *words: str) -> Iterator[Started]:
    log = here.home / f"log-{time.monotonic_ns()}"
    with log.open("w") as stderr:
        process = subprocess.Popen([sys.executable, "-m", "irkit", "serve", "--listen", "127.0.0.1:0", *words], env=here.environment,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, text=True)  # fmt: skip
    found = Started(process, 0, log)
    try:
        first = until(lambda: process.poll() is not None or found.lines)
        assert first is not True, log.read_text()
        found.port = int(found.lines[0]["address"].rpartition(":")[2])
        yield found
    finally:
        process.kill()
        process.wait()


def test_an_alert_of_alertmanager_ends_as_evidence(here: Place, box: Sandbox) -> None:
    namespace, pod = box.suspect
    with started(here) as serve:
        until(lambda: serve.ask("GET", "/readyz")[0] == 200)
        assert serve.ask("GET", "/healthz") == (200, {"status": "ok"})
        status, answer = serve.ask("POST", "/hooks/alertmanager", firing(pod, namespace))
        assert status == 202
        (order,) = until(lambda: [o for o in here.orders() if o["status"]["state"] in ("done", "failed")])
        assert (order["order"]["id"], order["status"]["state"], order["status"]["ended"]["exit_code"]) == (answer["order"], "done", 0)
        bag = order["status"]["ended"]["bundle"]
        here.irkit("bundle", "verify", bag).ended(0)
        assert serve.ask("POST", "/hooks/alertmanager", firing(pod, namespace))[1]["order"] == answer["order"]
        figures = parsed(serve.text("/metrics"))
        assert figures["irkit_leader", ()] == 1
        assert figures["irkit_turns_total", ()] > 0
        serve.process.send_signal(signal.SIGTERM)
        assert serve.process.wait(20) == 0
        assert serve.lines[-1]["event"] == "ended"
    assert len(here.orders()) == 1


def test_a_listener_that_was_killed_and_started_again_makes_no_second_order(here: Place, box: Sandbox) -> None:
    namespace, pod = box.suspect
    with started(here) as serve:
        first = until(lambda: serve.ask("POST", "/hooks/alertmanager", firing(pod, namespace))[1].get("order"))
        serve.process.kill()
        serve.process.wait()
    with started(here) as serve:
        assert until(lambda: serve.ask("POST", "/hooks/alertmanager", firing(pod, namespace))[1].get("order")) == first
        until(lambda: [o for o in here.orders() if o["status"]["state"] == "done"], 60.0)
    assert len(here.orders()) == 1


def test_containment_waits_until_somebody_approves_it(here: Place, box: Sandbox) -> None:
    namespace, pod = box.suspect
    with started(here) as serve:
        until(lambda: serve.ask("GET", "/readyz")[0] == 200)
        _, answer = serve.ask("POST", "/hooks/alertmanager", firing(pod, namespace, name="CryptoMiner", severity="low"))
        (order,) = until(lambda: [o for o in here.orders() if o["status"]["state"] not in ("planning", "queued", "running")])
        assert (order["order"]["id"], order["status"]["state"]) == (answer["order"], "waiting")
        assert order["status"]["planned"]["lines"]
        assert order["order"]["rule"] == "cut"


def test_one_that_starts_while_the_cluster_is_out_answers_and_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    unanswered(tmp_path / "kubeconfig", port)
    out = place(tmp_path, {"KUBECONFIG": str(tmp_path / "kubeconfig")})
    with started(out) as serve:
        assert serve.ask("GET", "/healthz")[0] == 200
        assert serve.ask("GET", "/readyz") == (503, {"error": "the queue of orders can't be reached"})
        status, answer = serve.ask("POST", "/hooks/alertmanager", firing())
        assert (status, answer["error"]) == (503, "the queue of orders can't be reached yet")
        serve.process.send_signal(signal.SIGINT)
        assert serve.process.wait(40) == 0


def test_check_says_every_mistake_and_stops(here: Place) -> None:
    assert here.irkit("serve", "--check").ended(0).stdout == "2 rules for 1 source: nothing is wrong with them.\n"
    here.settings(RULES.replace("alertmanager", "alertmanger"))
    answer = here.irkit("serve", "--check").ended(2)
    assert answer.stderr.count("no source 'alertmanger' in the settings; did you mean 'alertmanager'?") == 2
    assert "2 mistakes; nothing was run." in answer.stderr


@pytest.mark.parametrize(("words", "serve", "said"), [
    (("--listen", "0.0.0.0:0"), {}, "is not this machine alone, and there is no TLS"),
    (("--listen", "8710"), {}, "is no address to listen on"),
    (("--listen", "127.0.0.1:99999999"), {}, "is no address to listen on"),
    ((), {"sources": {}}, "nobody may send anything"),
    (("--slack",), {}, "SLACK_APP_TOKEN is not set"),
    ((), {"tls": {"certificate": "/none.pem", "key": "/none.pem"}}, "serve.tls.certificate: there is no file /none.pem"),
    ((), {"sourcs": {}}, "sourcs"),
])  # fmt: skip
def test_what_cannot_begin_is_one_sentence(tmp_path: Path, words: tuple[str, ...], serve: dict[str, object], said: str) -> None:
    nowhere = place(tmp_path, {"KUBECONFIG": str(tmp_path / "none")})
    nowhere.settings("apiVersion: irkit.dev/v1\nkind: Rules\nrules:\n  - {name: a, match: {severity: high}, run: {command: collect}}\n", {}, **serve)
    unanswered(tmp_path / "none", 1)
    answer = nowhere.irkit("serve", *words).ended(2)
    assert said in answer.stderr
    assert len(answer.stderr.splitlines()) <= 3


def test_one_that_can_see_to_no_order_ends_with_a_sentence(here: Place) -> None:
    here.settings(orders={"queue": "machine", "jobs": {"image": "irkit"}})
    answer = here.irkit("serve", "--listen", "127.0.0.1:0").ended(2)
    assert "2: settings: orders.jobs needs the queue in the cluster" in answer.stderr


def test_a_taken_port_is_one_sentence(here: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = here.irkit("serve", "--listen", f"127.0.0.1:{taken.getsockname()[1]}").ended(2)
    assert "Address already in use" in answer.stderr
    assert len(answer.stderr.splitlines()) == 2


def test_the_report_of_dry_runs_is_printed(here: Place, box: Sandbox) -> None:
    namespace, pod = box.suspect
    here.settings(RULES.replace("name: cut", "name: cut\n    dry-run: true"))
    with started(here) as serve:
        until(lambda: serve.ask("POST", "/hooks/alertmanager", firing(pod, namespace, name="CryptoMiner", severity="low"))[0] == 200)
    text = here.irkit("serve", "report").ended(0).stdout
    assert f"todo-app/{pod}" in text
    report = json.loads(here.irkit("serve", "report", "--days", "7", "-o", "json").ended(0).stdout)
    assert (report["kind"], report["rules"][0]["rule"], report["rules"][0]["orders"]) == ("DryRunReport", "cut", 1)


def test_the_schema_is_printed(here: Place) -> None:
    assert json.loads(here.irkit("serve", "schema").ended(0).stdout)["title"] == "irkit rules"


@pytest.mark.slow
def test_two_replicas_share_a_queue_and_one_of_them_leads(here: Place, box: Sandbox) -> None:
    connected = connect(load({"KUBECONFIG": str(box.kubeconfig), "HOME": str(here.home)}))
    with contextlib.closing(connected):
        connected.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "irkit-system"}})
    namespace, pod = box.suspect
    with started(here) as one, started(here) as other:
        both = (one, other)
        until(lambda: all(serve.ask("GET", "/readyz")[0] == 200 for serve in both))
        leads = [serve.ask("GET", "/readyz")[1]["leads"] for serve in both]
        assert sorted(leads) == [False, True]
        leader, follower = both if leads[0] else (other, one)
        ids = {serve.ask("POST", "/hooks/alertmanager", firing(pod, namespace))[1]["order"] for serve in (follower, leader, follower)}
        assert len(ids) == 1
        until(lambda: [o for o in here.orders() if o["status"]["state"] == "done"])
        leader.process.kill()
        leader.process.wait()
        began = time.monotonic()
        until(lambda: follower.ask("GET", "/readyz")[1].get("leads"))
        assert time.monotonic() - began < 15.0
        assert follower.ask("POST", "/hooks/alertmanager", firing(pod, namespace))[1]["order"] in ids
        assert len(here.orders()) == 1
