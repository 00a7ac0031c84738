"""The logs of a container: current, previous, missing."""

from __future__ import annotations

from irkit.model import kube
from tests.contracts.client import until
from tests.contracts.conftest import Cluster
from tests.contracts.differences import tolerate

HOSTILE = (
    b"plain",
    b"\x1b[31mred\x1b[0m \x1b]0;title\x07",
    b"<script>alert(1)</script>",
    b"nul \x00 bell \x07",
    b"not utf-8 \xff\xfe caf\xe9",
    b"",
    b"x" * 40000,
    b"last",
)


def log(cluster: Cluster, pod: str, query: str = "") -> bytes:
    reply = cluster.admin.send("GET", f"{cluster.path(kube.PODS, pod, 'log')}?{query}")
    assert (reply.status, reply.content_type) == (200, "text/plain"), reply.data
    return reply.data


def with_logs(cluster: Cluster) -> None:
    cluster.pod("p", nodeName=cluster.nodes[0])
    cluster.running("p")
    cluster.set_logs("p", {"c": HOSTILE}, {"c": [b"before", b"the end"]})
    until(lambda: log(cluster, "p").startswith(b"plain"), "the node knows the log")


def test_bytes_are_as_written(cluster: Cluster) -> None:
    with_logs(cluster)
    assert log(cluster, "p", "container=c") == b"".join(line + b"\n" for line in HOSTILE)


def test_timestamps_precede_each_line(cluster: Cluster) -> None:
    with_logs(cluster)
    lines = log(cluster, "p", "container=c&timestamps=true").split(b"\n")[:-1]
    assert [line.partition(b" ")[2] for line in lines] == list(HOSTILE)
    assert lines[0].partition(b" ")[0] == b"2026-01-01T00:00:00.000000000Z"
    assert lines[1].partition(b" ")[0] == b"2026-01-01T00:00:00.001000000Z"


def test_parts_of_a_log(cluster: Cluster) -> None:
    with_logs(cluster)
    assert log(cluster, "p", "tailLines=1") == HOSTILE[-1] + b"\n"
    assert log(cluster, "p", "limitBytes=8") == b"plain\n\x1b["
    assert log(cluster, "p", "sinceTime=2026-01-01T00:00:00.005Z").startswith(b"plain\n")  # whole seconds
    assert log(cluster, "p", "sinceTime=2026-01-01T00:00:01Z") == b""


def test_the_run_before(cluster: Cluster) -> None:
    with_logs(cluster)
    assert log(cluster, "p", "container=c&previous=true") == b"before\nthe end\n"


def test_no_run_before(cluster: Cluster) -> None:
    cluster.pod("p", nodeName=cluster.nodes[0])
    cluster.running("p")
    cluster.set_logs("p", {"c": [b"plain"]})
    until(lambda: log(cluster, "p").startswith(b"plain"), "the node knows the log")
    reply = cluster.admin.send("GET", f"{cluster.path(kube.PODS, 'p', 'log')}?container=c&previous=true")
    tolerate("previous-log")
    if cluster.real:
        assert reply.status in (400, 404, 500)
    else:
        assert (reply.status, reply.json["reason"]) == (400, "BadRequest")
        assert reply.json["message"] == 'previous terminated container "c" in pod "p" not found'


def test_containers_that_are_not_there(cluster: Cluster) -> None:
    init, main = [{"name": "i", "image": "img:1"}], [{"name": "c", "image": "img:1"}]
    cluster.pod("one", nodeName=cluster.nodes[0], initContainers=init)
    cluster.pod("p", nodeName=cluster.nodes[0], initContainers=init, containers=[*main, {"name": "d", "image": "img:1"}])
    cluster.running("one")
    cluster.running("p")
    path = cluster.path(kube.PODS, "p", "log")
    reply = cluster.admin.send("GET", f"{path}?container=nope")
    assert (reply.status, reply.json["message"]) == (400, "container nope is not valid for pod p")
    reply = cluster.admin.send("GET", path)
    assert (reply.status, reply.json["message"]) == (400, "a container name must be specified for pod p, choose one of: [i c d]")
    reply = cluster.admin.send("GET", cluster.path(kube.PODS, "nope", "log"))
    assert (reply.status, reply.json["message"]) == (404, 'pods "nope" not found')
    assert log(cluster, "p", "container=i")
    assert log(cluster, "one")  # the only one that is no init container


def test_a_pod_without_a_node_has_no_log(cluster: Cluster) -> None:
    cluster.pod("p", nodeSelector={"there-is": "none"})
    reply = cluster.admin.send("GET", cluster.path(kube.PODS, "p", "log"))
    assert (reply.status, reply.data) == (204, b"")


def test_a_log_is_followed(cluster: Cluster) -> None:
    cluster.pod("p", nodeName=cluster.nodes[0])
    cluster.running("p")
    cluster.set_logs("p", {"c": [b"one", b"two"]})
    until(lambda: log(cluster, "p").startswith(b"one"), "the node knows the log")
    lines = cluster.admin.stream(f"{cluster.path(kube.PODS, 'p', 'log')}?follow=true&tailLines=1")
    assert next(lines) == b"two"
    for text in (b"three", b"\xff\x00 four", b""):
        cluster.add_log("p", text)
        assert next(lines) == text
    lines.close()
    since = cluster.admin.stream(f"{cluster.path(kube.PODS, 'p', 'log')}?follow=true&sinceTime=2026-01-01T00:00:01Z&timestamps=true&limitBytes=100")
    assert [next(since).partition(b" ")[2] for _ in range(2)] == [b"three", b"\xff\x00 four"]
    assert [line for line in since if line] == []  # the limit ends it
