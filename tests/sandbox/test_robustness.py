"""Whatever is sent, there is an answer, and the controllers go on."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irkit.model import kube
from irkit.sandbox import Sandbox
from irkit.sandbox.api import protobuf
from irkit.sandbox.failures import Failure
from irkit.sandbox.selectors import fields, labels
from tests.contracts.client import MERGE, STRATEGIC, Api

scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "a", "x/y", "Ingress", "-1"])
WORDS = [
    "metadata",
    "labels",
    "annotations",
    "name",
    "spec",
    "replicas",
    "selector",
    "matchLabels",
    "template",
    "containers",
    "image",
    "podSelector",
    "ingress",
    "from",
    "ports",
    "policyTypes",
    "ownerReferences",
    "uid",
    "finalizers",
    "$patch",
]
names = st.sampled_from(WORDS)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=4), max_leaves=15)
TARGETS = [kube.PODS, kube.DEPLOYMENTS, kube.STATEFULSETS, kube.NETWORKPOLICIES, kube.CONFIGMAPS, kube.JOBS, kube.SECRETS]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, Api]]:
    home = tmp_path_factory.mktemp("box")
    with Sandbox("todo-app", home=home, lag=0) as box:
        yield box, Api(box.kubeconfig, home)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(TARGETS), st.dictionaries(names, values, max_size=4), st.sampled_from(["POST", MERGE, STRATEGIC]))
def test_any_body_gets_an_answer(started: tuple[Sandbox, Api], resource: kube.Resource, body: Any, how: str) -> None:
    box, api = started
    if how == "POST":
        reply = api.send("POST", resource.path("todo-app"), body | {"metadata": {"generateName": "fuzz-", **_dict(body.get("metadata"))}})
    else:
        found = box.store.all(box.store.catalog.of_resource(resource), "todo-app")
        reply = api.send("PATCH", resource.path("todo-app", found[0]["metadata"]["name"] if found else "x"), body, type=how)
    assert reply.status in (200, 201, 400, 404, 409, 422), reply.data
    if reply.status >= 400:
        assert reply.json["kind"] == "Status"
        assert reply.json["message"]


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def test_and_the_controllers_still_act(started: tuple[Sandbox, Api]) -> None:
    box, api = started
    container = {"name": "c", "image": "i"}
    template = {"metadata": {"labels": {"still": "here"}}, "spec": {"containers": [container]}}
    api.create(kube.REPLICASETS.path("kube-system"),
               {"metadata": {"name": "r"}, "spec": {"selector": {"matchLabels": {"still": "here"}}, "template": template}})  # fmt: skip
    assert box.settle()
    (pod,) = api.get(f"{kube.PODS.path('kube-system')}?labelSelector=still")["items"]
    assert pod["status"]["phase"] == "Running"


@pytest.mark.parametrize(
    "raw",
    [
        b"NONSENSE / HTTP/1.1\r\n\r\n",
        b"GET /api/v1/namespaces/%00/pods/%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/v1/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n",
        b"POST /api/v1/namespaces HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
        b"POST /api/v1/namespaces HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/namespaces HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"\x00\xff\x00",
    ],
)
def test_bytes_that_are_no_request(started: tuple[Sandbox, Api], raw: bytes) -> None:
    box, api = started
    parts = urlsplit(box.url)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5) as plain, context.wrap_socket(plain) as connection:
        connection.sendall(raw)
        connection.settimeout(0.5)
        try:
            answer = connection.recv(100)
        except OSError:
            answer = b""
    assert b" 2" not in answer.partition(b"\r\n")[0][8:11]
    assert api.get("/version")["major"] == "1"


def test_a_client_without_tls_is_let_go(started: tuple[Sandbox, Api]) -> None:
    box, api = started
    parts = urlsplit(box.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert not plain.recv(100).startswith(b"HTTP/1.1 200")
    assert api.get("/version")["major"] == "1"


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda b: protobuf.MAGIC + b))
def test_any_protobuf_is_decoded_or_refused(data: bytes) -> None:
    try:
        found = protobuf.decode(data)
    except ValueError:
        return
    assert found is None or isinstance(found, dict)


@given(st.text(max_size=30))
def test_any_selector_is_read_or_refused(text: str) -> None:
    for read in (labels, lambda given: fields(given, "Pod")):
        try:
            matches = read(text)
        except Failure as failure:
            code = failure.code
        else:
            code = 400
            assert matches({"metadata": {"name": "p", "labels": {"a": "b"}}}) in (True, False)
        assert code == 400


def test_no_secret_is_on_disk(started: tuple[Sandbox, Api], tmp_path: Path) -> None:
    box, _ = started
    for path in (p for p in box.kubeconfig.parent.rglob("*") if p.is_file()):
        assert b"canary-" not in path.read_bytes()
