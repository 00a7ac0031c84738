"""What irkit sends, and how it reads lists, watches, logs and proxied answers."""

from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from irkit import __version__
from irkit.adapters.kubernetes import connect
from irkit.adapters.transport import CHUNK
from irkit.errors import ApiError, ForbiddenError, InvalidError, UnreachableError
from irkit.model.kube import CONFIGMAPS, NODES, PODS, ObjectRef
from irkit.ports import Cluster, Connection
from irkit.settings import Settings
from tests.adapters.scripted import Request, Scene, Scripted, answer, chunked, cluster_at, events, kubeconfig, reset, status
from tests.clocks import StepClock

POD = ObjectRef(resource=PODS, name="web", namespace="shop", uid="u1")
NODE = ObjectRef(resource=NODES, name="node-1")


def pod(name: str, version: int, uid: str = "") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "shop", "uid": uid or name, "resourceVersion": str(version)}}


def page(*items: object, version: int = 1, onwards: str = "") -> Any:
    return answer(body={"kind": "PodList", "items": list(items), "metadata": {"resourceVersion": str(version), "continue": onwards}})


def event(kind: str, obj: object) -> dict[str, Any]:
    return {"type": kind, "object": obj}


def test_it_is_what_the_ports_ask_for(tmp_path: Path) -> None:
    """The type checker holds it to the rest of the port."""
    cluster: Cluster = cluster_at(tmp_path, "https://h")
    connection: Connection = cluster_at(tmp_path, "https://h")
    assert callable(cluster.list)
    assert callable(connection.whoami)


def test_each_request_says_who_we_are(tmp_path: Path) -> None:
    user = {"token": "t0ken", "as": "jane", "as-groups": ["dev", "ops"], "as-uid": "7", "as-user-extra": {"a/b": ["x"]}}
    with Scripted((answer(),)) as server:
        cluster_at(tmp_path, server.url, user=user).get(POD)
    (request,) = server.requests
    assert request.headers["user-agent"] == f"irkit/{__version__}"
    assert request.headers["accept"] == "application/json"
    assert request.headers["authorization"] == "Bearer t0ken"
    assert request.headers["impersonate-user"] == "jane"
    assert request.headers["impersonate-extra-a%2fb"] == "x"
    assert [v for n, v in request.repeated if n == "impersonate-group"] == ["dev", "ops"]


def test_names_of_strangers_stay_in_their_segment(tmp_path: Path) -> None:
    with Scripted((answer(),)) as server:
        cluster = cluster_at(tmp_path, f"{server.url}/k8s/clusters/c-1/")
        cluster.get(ObjectRef(resource=PODS, name="../../secrets/x?a=b#c\r\nX: y", namespace=".."))
        cluster.list(PODS, "shop", labels="a in (b,c)", fields="spec.nodeName=n&limit=1")
    first, second = (r.target for r in server.requests)
    assert first == "/k8s/clusters/c-1/api/v1/namespaces/%2E%2E/pods/..%2F..%2Fsecrets%2Fx%3Fa%3Db%23c%0D%0AX%3A%20y"
    assert second.endswith("/namespaces/shop/pods?labelSelector=a+in+%28b%2Cc%29&fieldSelector=spec.nodeName%3Dn%26limit%3D1&limit=500")


def test_writes_carry_the_field_manager_and_the_dry_run(tmp_path: Path) -> None:
    with Scripted((answer(201),)) as server:
        cluster = cluster_at(tmp_path, server.url)
        for dry in (False, True):
            cluster.create(CONFIGMAPS, {"metadata": {"name": "x", "namespace": "shop"}}, dry_run=dry)
            cluster.patch(POD, {"metadata": {"labels": {"a": None}}}, subresource="status", dry_run=dry)
            cluster.delete(POD, dry_run=dry)
    create, patch, delete = server.requests[:3]
    assert create.target == "/api/v1/namespaces/shop/configmaps?fieldManager=irkit&fieldValidation=Strict"
    assert (patch.target, patch.headers["content-type"]) == (
        "/api/v1/namespaces/shop/pods/web/status?fieldManager=irkit", "application/merge-patch+json")  # fmt: skip
    assert patch.json == {"metadata": {"labels": {"a": None}}}
    assert delete.json["preconditions"] == {"uid": "u1"}
    assert "dryRun" not in delete.json
    assert all("dryRun=All" in r.target for r in server.requests[3:])
    assert server.requests[5].json["dryRun"] == ["All"]


# lists


def test_a_list_is_read_over_its_pages(tmp_path: Path) -> None:
    with Scripted((page(pod("a", 1), onwards="t/1"), page({**pod("b", 1), "kind": "Odd"}), page())) as server:
        found = cluster_at(tmp_path, server.url, page=1).list(PODS)
    assert [(o["metadata"]["name"], o["apiVersion"], o["kind"]) for o in found] == [("a", "v1", "Pod"), ("b", "v1", "Odd")]
    assert [r.target for r in server.requests] == ["/api/v1/pods?limit=1", "/api/v1/pods?limit=1&continue=t%2F1"]


def test_a_list_whose_continuation_expired_begins_anew(tmp_path: Path) -> None:
    scenes = (page(pod("old", 1), onwards="t"), status(410, "expired", "Expired"), page(pod("a", 2), onwards="u"), page(pod("b", 2)))
    with Scripted(scenes) as server:
        assert [o["metadata"]["name"] for o in cluster_at(tmp_path, server.url).list(PODS)] == ["a", "b"]


def test_a_list_that_expires_always_is_read_in_one_piece(tmp_path: Path) -> None:
    def play(request: Request, sock: Any) -> bool:
        if "continue=" in request.target:
            return status(410, "expired")(request, sock)
        scene: Scene = page(pod("a", 1), onwards="t" if "limit=" in request.target else "")
        return scene(request, sock)

    with Scripted((play,)) as server:
        assert len(cluster_at(tmp_path, server.url).list(PODS)) == 1
    assert "limit" not in server.requests[-1].target


def test_an_answer_that_is_no_object_is_an_error(tmp_path: Path) -> None:
    for body in (b"", b"[]", b"<html>", b"{", b'{"a":"\xff"}'):
        with Scripted((answer(raw=body),)) as server, pytest.raises(ApiError, match="no JSON object"):
            cluster_at(tmp_path, server.url).get(POD)


# watches


def test_a_watch_tells_what_is_there_and_then_what_changes(tmp_path: Path) -> None:
    bookmark = event("BOOKMARK", {"metadata": {"resourceVersion": "9"}})
    stream = events(event("MODIFIED", pod("a", 6)), event("DELETED", pod("b", 7)), event("ADDED", pod("c", 8)), bookmark)
    with Scripted((page(pod("a", 1), pod("b", 2), version=5), stream, events(event("ADDED", pod("d", 10))), status(403, "no"))) as server:
        watch = cluster_at(tmp_path, server.url).watch(PODS, "shop", labels="x=y")
        seen = [(e.type, e.object["metadata"]["name"], e.object["kind"]) for _, e in zip(range(6), watch, strict=False)]
    assert seen == [("ADDED", "a", "Pod"), ("ADDED", "b", "Pod"), ("MODIFIED", "a", "Pod"), ("DELETED", "b", "Pod"), ("ADDED", "c", "Pod"),
                    ("ADDED", "d", "Pod")]  # fmt: skip
    listed, first, second = (r.target for r in server.requests[:3])
    assert "labelSelector=x%3Dy" in listed
    assert "watch=1" in first
    assert "resourceVersion=5" in first
    assert "resourceVersion=9" in second, "a bookmark moves the place to go on from"


def test_a_watch_that_breaks_goes_on_from_what_it_saw(tmp_path: Path) -> None:
    first = events(event("ADDED", pod("a", 6)), end=False)
    scenes = (page(version=5), first, reset(), events(event("ADDED", pod("b", 7))), status(403, "no"))
    with Scripted(scenes) as server:
        watch = cluster_at(tmp_path, server.url).watch(PODS)
        assert [next(watch).object["metadata"]["name"] for _ in range(2)] == ["a", "b"]
    assert all("resourceVersion=6" in r.target for r in server.requests[2:4])


def test_a_watch_whose_history_is_gone_tells_the_differences(tmp_path: Path) -> None:
    gone = events(event("ERROR", {"kind": "Status", "code": 410, "message": "too old"}))
    before = page(pod("same", 1), pod("changed", 2), pod("gone", 3), pod("replaced", 4, "old"), version=5)
    after = page(pod("same", 1), pod("changed", 8), pod("replaced", 9, "new"), pod("new", 10), version=11)
    with Scripted((before, gone, after, events(event("DELETED", pod("same", 12))), status(403, "no"))) as server:
        watch = cluster_at(tmp_path, server.url).watch(PODS)
        seen = [(e.type, e.object["metadata"]["name"], e.object["metadata"]["uid"]) for _, e in zip(range(10), watch, strict=False)]
    assert seen[4:] == [
        ("DELETED", "gone", "gone"), ("DELETED", "replaced", "old"), ("MODIFIED", "changed", "changed"), ("ADDED", "replaced", "new"),
        ("ADDED", "new", "new"), ("DELETED", "same", "same"),
    ]  # fmt: skip


def test_a_watch_ends_in_time(tmp_path: Path) -> None:
    clock, seen, over = StepClock(), threading.Event(), threading.Event()

    def idle() -> None:
        seen.wait(5)
        clock.sleep(60)  # the time of the watch passes while nothing happens
        over.wait(0.3)

    names = []
    with Scripted((page(pod("a", 1), version=5), events(event("ADDED", pod("b", 6)), wait=idle))) as server:
        for found in cluster_at(tmp_path, server.url, clock=clock).watch(PODS, timeout=30):
            names.append(found.object["metadata"]["name"])
            if names[-1] == "b":
                seen.set()
    assert names == ["a", "b"]
    assert "timeoutSeconds=30" in server.requests[1].target
    assert len(server.requests) == 2


def test_a_watch_of_a_silent_server_ends_in_time(tmp_path: Path) -> None:
    """By the real clock: the server holds the stream open for longer than it was asked to."""
    over = threading.Event()
    began = time.monotonic()
    with Scripted((page(version=5), events(wait=lambda: over.wait(10)))) as server:
        settings = Settings(kubeconfig=str(kubeconfig(tmp_path, server.url)))
        assert list(connect(settings, {}).watch(PODS, timeout=0.5)) == []
        over.set()
    assert 0.5 <= time.monotonic() - began < 5


def test_a_watch_that_always_ends_at_once_is_no_storm(tmp_path: Path) -> None:
    clock = StepClock()
    with Scripted((page(version=5), events())) as server:
        assert list(cluster_at(tmp_path, server.url, clock=clock).watch(PODS, timeout=10)) == []
    assert len(server.requests) <= 22


def test_a_watch_that_is_not_allowed_says_so(tmp_path: Path) -> None:
    with Scripted((page(version=5), status(403, "pods is forbidden"))) as server, pytest.raises(ForbiddenError):
        list(cluster_at(tmp_path, server.url).watch(PODS))


# logs and proxies


def test_a_log_comes_as_it_is_in_large_pieces(tmp_path: Path) -> None:
    lines = [b"2026-01-01T00:00:00Z \x1b[31m\x00\xff line\n" * 100] * 300
    with Scripted((chunked(*lines), answer())) as server:
        cluster = cluster_at(tmp_path, server.url)
        with cluster.logs(POD, "app", previous=True) as pieces:
            got = list(pieces)
        cluster.get(POD)
    assert b"".join(got) == b"".join(lines)
    assert all(CHUNK <= len(p) <= 2 * CHUNK for p in got[:-1])
    assert server.requests[0].target == "/api/v1/namespaces/shop/pods/web/log?container=app&timestamps=true&previous=true"
    assert server.connections == 1, "a log that was read to its end keeps its connection"


def test_a_log_that_breaks_keeps_what_came(tmp_path: Path) -> None:
    with Scripted((chunked(b"one\n", b"two\n", end=False),)) as server, cluster_at(tmp_path, server.url).logs(POD, "app") as pieces:
        assert next(pieces) == b"one\ntwo\n"
        with pytest.raises(UnreachableError, match="broke"):
            next(pieces)


def test_a_log_that_goes_silent_ends_in_time(tmp_path: Path) -> None:
    over = threading.Event()
    began = time.monotonic()
    with Scripted((chunked(b"one\n", wait=lambda: over.wait(10)),)) as server:
        with cluster_at(tmp_path, server.url, timeout=0.3).logs(POD, "app") as pieces:
            assert next(pieces) == b"one\n"
            with pytest.raises(UnreachableError, match="did not answer"):
                next(pieces)
        over.set()
    assert time.monotonic() - began < 5


def test_a_log_that_is_left_early_costs_its_connection(tmp_path: Path) -> None:
    with Scripted((chunked(*[b"x" * CHUNK] * 5), answer())) as server:
        cluster = cluster_at(tmp_path, server.url)
        with cluster.logs(POD, "app") as pieces:
            next(pieces)
        cluster.get(POD)
    assert server.connections == 2


def test_what_a_kubelet_refuses_is_not_asked_again(tmp_path: Path) -> None:
    for scene, kind in ((status(400, "waiting to start"), InvalidError), (status(500, "an error on the server"), ApiError)):
        with Scripted((scene,)) as server, pytest.raises(kind), cluster_at(tmp_path, server.url).logs(POD, "app"):
            raise AssertionError("entered")
        assert len(server.requests) == 1


def test_a_proxied_answer_is_bounded(tmp_path: Path) -> None:
    with Scripted((answer(raw=b"x" * (16 << 20)), answer(raw=b"x" * ((16 << 20) + 1)))) as server:
        cluster = cluster_at(tmp_path, server.url, timeout=20)
        assert len(cluster.proxy(NODE, "/stats/../summary?only=a&b=")) == 16 << 20
        with pytest.raises(ApiError, match=r"longer than 16\.8 MB"):
            cluster.proxy(NODE, "configz")
    assert server.requests[0].target == "/api/v1/nodes/node-1/proxy/stats/%2E%2E/summary?only=a&b="


def test_many_threads_share_the_pool(tmp_path: Path) -> None:
    with Scripted((answer(body={"kind": "Pod"}),)) as server:
        cluster = cluster_at(tmp_path, server.url)
        with ThreadPoolExecutor(8) as pool:
            assert all(r == {"kind": "Pod"} for r in pool.map(lambda _: cluster.get(POD), range(200)))
        assert server.connections <= 8
        cluster.close()
        assert cluster.get(POD) == {"kind": "Pod"}


# who and where


def dated(body: object, date: str) -> Any:
    return answer(body=body, headers={"Date": date})


@pytest.mark.parametrize(
    ("date", "skew"),
    [("Sun, 22 Nov 2026 03:00:00 GMT", 0.0), ("Sun, 22 Nov 2026 02:59:59 GMT", 0.0), ("Sun, 22 Nov 2026 03:01:30 GMT", 90.5),
     ("Sun, 22 Nov 2026 02:00:00 GMT", -3599.5), ("yesterday", None), ("", None)],
)  # fmt: skip
def test_the_skew_of_the_clocks(tmp_path: Path, date: str, skew: float | None) -> None:
    """The clock of this test stands at 03:00:00."""
    with Scripted((dated({"metadata": {"uid": "u-1"}}, date), dated({"gitVersion": "v1.35.4"}, date))) as server:
        cluster = cluster_at(tmp_path, server.url)
        identity = cluster.identify()
        assert cluster.identify() is identity
    assert (identity.uid, identity.version, identity.clock_skew) == ("u-1", "v1.35.4", skew)
    assert (identity.context, identity.server) == ("here", server.url)
    assert [r.target for r in server.requests] == ["/api/v1/namespaces/kube-system", "/version"]


def test_who_may_not_read_kube_system_still_tells_clusters_apart(tmp_path: Path) -> None:
    cluster = {"certificate-authority-data": "eA=="}
    with Scripted((status(403, 'User "x" cannot get'), answer(body={"gitVersion": "v1.35.4"}))) as server:
        assert cluster_at(tmp_path, server.url, cluster=cluster).identify().uid.startswith("ca:2d711642b726b04401627ca9fbac32f5")


def test_who_we_are(tmp_path: Path) -> None:
    info = {"username": "jane", "groups": ["dev"], "uid": "1"}
    with Scripted((status(404, "no"), answer(201, {"status": {"userInfo": info}}))) as server:
        operator = cluster_at(tmp_path, server.url).whoami()
    assert (operator.name, operator.groups) == ("jane", ("dev",))
    assert [r.target.split("/")[3] for r in server.requests] == ["v1", "v1beta1"]
    with Scripted((status(404, "no"),)) as server:
        assert cluster_at(tmp_path, server.url).whoami().name == "unknown (kubeconfig user me)"
    with Scripted((status(401, "no"),)) as server, pytest.raises(ForbiddenError):
        cluster_at(tmp_path, server.url).whoami()


def test_a_cluster_that_nobody_closed_leaves_no_socket_open_though_it_is_collected_late(tmp_path: Path) -> None:
    """As after a command whose errors hold its frames: in a cycle the socket's turn may come before that of what keeps it."""
    with Scripted((answer(),)) as server:
        cluster: Any = cluster_at(tmp_path, server.url)
        cluster.get(POD)
        first, second = [cluster._client.transport._idle[0].sock], [cluster]
        sock = weakref.ref(first[0])
        cluster.cycle = cluster
        del cluster
        gc.collect()  # who is reached first is collected first: now that is the socket
        first.clear()
        second.clear()
        told: list[Any] = []
        hook, sys.unraisablehook = sys.unraisablehook, told.append
        try:
            gc.collect()
        finally:
            sys.unraisablehook = hook
    assert sock() is None
    assert [str(each.exc_value) for each in told] == []
