"""A value that several workloads read, of which the pod's is only one: all of them get the new one, and are told so."""

from __future__ import annotations

import time
from typing import Any

from irkit.app import rotate as rotations
from irkit.app.respond import Request
from irkit.credentials.look import EXTERNALSECRETS
from irkit.engine.result import RunResult
from irkit.errors import NotFoundError
from irkit.model.kube import DEPLOYMENTS, SECRETS, Obj, ObjectRef
from tests.engine.harness import Bench, bench
from tests.recovery.world import add

ES = EXTERNALSECRETS[0]


def worker(b: Bench, namespace: str, classes: str | None = None) -> None:
    """Another application that reads SECRET_KEY out of the same entry, in a Secret of its own."""
    marks = {"annotations": {"irkit.dev/rotation": classes}} if classes else {}
    data = [{"secretKey": "KEY", "remoteRef": {"key": "prod/todo-app", "property": "SECRET_KEY"}}]
    store = {"name": "vault-kv-secret", "kind": "ClusterSecretStore"}
    spec = {"refreshInterval": "1h", "secretStoreRef": store, "data": data}
    add(b, ES, {"metadata": {"name": "worker", "namespace": namespace, **marks}, "spec": spec})
    container = {"name": "app", "image": "registry.example/worker:1", "envFrom": [{"secretRef": {"name": "worker"}}]}
    template = {"metadata": {"labels": {"app": "worker"}}, "spec": {"containers": [container], "automountServiceAccountToken": False}}
    add(b, DEPLOYMENTS, {"metadata": {"name": "worker", "namespace": namespace},
                         "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "worker"}}, "template": template}})  # fmt: skip
    until = time.monotonic() + 20
    while not data_of(b, namespace, "worker") or read(b, DEPLOYMENTS, namespace, "worker").get("status", {}).get("readyReplicas") != 1:
        assert time.monotonic() < until, "the worker did not come up"
        time.sleep(0.02)


def read(b: Bench, resource: Any, namespace: str, name: str) -> Obj:
    return b.ports.cluster.get(ObjectRef(resource=resource, name=name, namespace=namespace))


def data_of(b: Bench, namespace: str, name: str) -> dict[str, str]:
    try:
        return dict(read(b, SECRETS, namespace, name).get("data") or {})
    except NotFoundError:
        return {}


def rotate(b: Bench) -> RunResult:
    b.approver.secrets = {"backend-secret/GROQ_API_KEY": "a-new-key-of-the-issuer"}
    request = Request(command="rotate", playbook="rotate", target=b.box.suspect[1], namespace="todo-app")
    return rotations.rotate(b.ports, rotations.Wish(), request)


def lines(result: RunResult) -> dict[tuple[str, str], dict[str, Any]]:
    return {(c["name"], c["class"]): c for c in result.credentials}


def test_another_secret_of_the_namespace_gets_the_new_value_and_who_uses_it_is_restarted(tmp_path):
    with bench(tmp_path) as b:
        worker(b, "todo-app")
        old = data_of(b, "todo-app", "worker")["KEY"]
        result = rotate(b)
        found = lines(result)["todo-app/worker", "generated"]
        assert (found["outcome"], found["oldValue"], found["consumers"]) == ("rotated", "dead", {"total": 1, "restarted": 1})
        assert data_of(b, "todo-app", "worker")["KEY"] == data_of(b, "todo-app", "backend-secret")["SECRET_KEY"] != old
        assert result.exit_code == 0


def test_two_that_contradict_each_other_stay_as_they_are(tmp_path):
    with bench(tmp_path) as b:
        worker(b, "todo-app", "issuer-made")
        old = data_of(b, "todo-app", "worker")["KEY"]
        result = rotate(b)
        assert result.exit_code == 5
        assert {c["outcome"] for c in result.credentials if "SECRET_KEY" in c["keys"] and "BETTER_AUTH_SECRET" not in c["keys"]} == {"manual"}
        assert data_of(b, "todo-app", "worker")["KEY"] == data_of(b, "todo-app", "backend-secret")["SECRET_KEY"] == old


def test_of_a_reader_in_another_namespace_it_is_told(tmp_path):
    with bench(tmp_path) as b:
        worker(b, "other")
        result = rotate(b)
        (found,) = [c for c in result.credentials if "SECRET_KEY" in c["keys"]]
        assert found["left"][-1:] == ["what uses ExternalSecret other/worker: irkit restarts nothing in other namespaces"]
        assert any("ExternalSecret other/worker reads the same" in str(event) for event in b.events)
