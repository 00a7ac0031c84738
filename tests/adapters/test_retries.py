"""What is tried again, what is not, and what a person reads when it did not help."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from irkit.adapters import retry
from irkit.adapters.retry import Transient, Try
from irkit.errors import ApiError, ConflictError, InvalidError, NotFoundError, UnreachableError
from irkit.model.kube import CONFIGMAPS, PODS, ObjectRef, permission
from tests.adapters.scripted import Scripted, answer, cluster_at, reset, silence, status
from tests.clocks import StepClock

POD = ObjectRef(resource=PODS, name="web", namespace="shop")
MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "irkit-x", "namespace": "shop"}, "data": {"a": "1"}}


def test_retry_after_is_honoured(tmp_path: Path) -> None:
    clock = StepClock()
    with Scripted((status(429, "slow down", headers={"Retry-After": "7"}), answer(body={"kind": "Pod"}))) as server:
        assert cluster_at(tmp_path, server.url, clock=clock).get(POD) == {"kind": "Pod"}
    assert len(server.requests) == 2
    assert 7 <= sum(clock.slept) < 8


def test_a_retry_after_beyond_the_budget_is_not_waited_for(tmp_path: Path) -> None:
    clock = StepClock()
    with Scripted((status(429, "slow down", headers={"Retry-After": "3600"}),)) as server, pytest.raises(UnreachableError) as caught:
        cluster_at(tmp_path, server.url, clock=clock).get(POD)
    assert clock.slept == []
    assert "slow down" in caught.value.message


@pytest.mark.parametrize("code", [500, 502, 503, 504])
def test_a_server_error_is_tried_again(tmp_path: Path, code: int) -> None:
    with Scripted((status(code, "etcd is away"), status(code, "etcd is away"), answer(body={"kind": "Pod"}))) as server:
        assert cluster_at(tmp_path, server.url).get(POD) == {"kind": "Pod"}
    assert len(server.requests) == 3


def test_all_tries_end_within_the_budget(tmp_path: Path) -> None:
    clock = StepClock()
    with Scripted((status(503, "etcd is away"),)) as server, pytest.raises(UnreachableError) as caught:
        cluster_at(tmp_path, server.url, clock=clock, budget=10).get(POD)
    assert len(server.requests) > 2
    assert clock.monotonic() <= 10
    assert f"({len(server.requests)} tries)" in str(caught.value)
    assert caught.value.exit_code == 7


def test_an_error_that_will_not_pass_is_told_at_once(tmp_path: Path) -> None:
    for scene, kind in ((status(404, "no such pod"), NotFoundError), (status(409, "changed"), ConflictError), (status(422, "bad"), InvalidError)):
        with Scripted((scene,)) as server, pytest.raises(kind):
            cluster_at(tmp_path, server.url).get(POD)
        assert len(server.requests) == 1


def test_a_connection_reset_in_a_body_is_tried_again(tmp_path: Path) -> None:
    half = b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"kind":'
    with Scripted((reset(half), answer(body={"kind": "Pod"}))) as server:
        assert cluster_at(tmp_path, server.url).get(POD) == {"kind": "Pod"}
    with Scripted((reset(half),)) as server, pytest.raises(UnreachableError, match="broke"):
        cluster_at(tmp_path, server.url, budget=1).get(POD)


def test_a_body_that_ends_early_is_no_answer(tmp_path: Path) -> None:
    """A connection that closes in an orderly way after half of a body must not pass for the whole of it."""
    half = b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"kind": "Pod"}'

    def close(request: object, sock: object) -> bool:
        sock.sendall(half)  # type: ignore[attr-defined]
        return False

    with Scripted((close, answer(body={"kind": "Whole"}))) as server:
        assert cluster_at(tmp_path, server.url).get(POD) == {"kind": "Whole"}


def test_silence_is_bounded(tmp_path: Path) -> None:
    done = threading.Event()
    began = time.monotonic()
    with Scripted((silence(done),)) as server:
        with pytest.raises(UnreachableError, match=r"did not answer in 0\.3 s"):
            cluster_at(tmp_path, server.url, timeout=0.3, budget=0.5).get(POD)
        done.set()
    assert time.monotonic() - began < 5


def test_a_body_that_drips_is_bounded_too(tmp_path: Path) -> None:
    """Each byte comes in time, the whole does not."""
    stop = threading.Event()

    def drip(request: object, sock: object) -> bool:
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")  # type: ignore[attr-defined]
        while not stop.wait(0.05):
            sock.sendall(b" ")  # type: ignore[attr-defined]
        return False

    began = time.monotonic()
    with Scripted((drip,)) as server:
        with pytest.raises(UnreachableError, match="did not answer"):
            cluster_at(tmp_path, server.url, timeout=0.4, budget=0.4).get(POD)
        stop.set()
    assert time.monotonic() - began < 5


def test_a_wrong_address_is_told_at_once(tmp_path: Path) -> None:
    clock = StepClock()
    with Scripted((answer(),)) as server:
        port = server.port
    with pytest.raises(UnreachableError, match="can't be reached: Connection refused"):
        cluster_at(tmp_path, f"http://127.0.0.1:{port}", clock=clock).get(POD)
    assert clock.slept == []


def test_a_server_that_answered_before_is_waited_for(tmp_path: Path) -> None:
    clock = StepClock()
    with Scripted((answer(body={"kind": "Pod"}, headers={"Connection": "close"}),)) as server:
        cluster = cluster_at(tmp_path, server.url, clock=clock)
        cluster.get(POD)
    with pytest.raises(UnreachableError, match="refused"):
        cluster.get(POD)
    assert clock.slept


def test_a_kept_connection_that_was_closed_costs_a_read_nothing(tmp_path: Path) -> None:
    def late(request: object, sock: object) -> bool:
        return False  # closes without an answer, as a server does whose idle time-out and our request cross

    clock = StepClock()
    with Scripted((answer(body={}), late, answer(body={"kind": "Pod"}))) as server:
        cluster = cluster_at(tmp_path, server.url, clock=clock)
        cluster.get(POD)
        assert cluster.get(POD) == {"kind": "Pod"}
    assert (clock.slept, len(server.requests), server.connections) == ([], 3, 2)


# writes


def test_a_create_whose_answer_was_lost_is_found(tmp_path: Path) -> None:
    found = {**MAP, "metadata": {**MAP["metadata"], "uid": "u1", "resourceVersion": "5"}, "immutable": False}  # type: ignore[dict-item]
    with Scripted((reset(), status(409, "exists", "AlreadyExists"), answer(body=found))) as server:
        assert cluster_at(tmp_path, server.url).create(CONFIGMAPS, MAP)["metadata"]["uid"] == "u1"
    assert [r.method for r in server.requests] == ["POST", "POST", "GET"]


def test_a_create_that_meets_anothers_object_is_a_conflict(tmp_path: Path) -> None:
    other = {**MAP, "data": {"a": "2"}}
    with Scripted((reset(), status(409, "exists", "AlreadyExists"), answer(body=other))) as server, pytest.raises(ConflictError):
        cluster_at(tmp_path, server.url).create(CONFIGMAPS, MAP)
    with Scripted((status(409, "exists", "AlreadyExists"), answer(body=MAP))) as server, pytest.raises(ConflictError):
        cluster_at(tmp_path, server.url).create(CONFIGMAPS, MAP)
    assert len(server.requests) == 1, "without a lost answer it can't be ours"


def test_a_create_refused_for_load_was_not_done(tmp_path: Path) -> None:
    """After a 429 an object of the name is somebody else's, whatever it holds."""
    scenes = (status(429, "slow down", headers={"Retry-After": "1"}), status(409, "exists", "AlreadyExists"), answer(body=MAP))
    with Scripted(scenes) as server, pytest.raises(ConflictError):
        cluster_at(tmp_path, server.url).create(CONFIGMAPS, MAP)
    assert [r.method for r in server.requests] == ["POST", "POST"]


def test_a_delete_may_find_that_it_was_done(tmp_path: Path) -> None:
    with Scripted((reset(), status(404, "gone"))) as server:
        cluster_at(tmp_path, server.url).delete(POD)
    assert len(server.requests) == 2
    with Scripted((status(404, "gone"),)) as server, pytest.raises(NotFoundError):
        cluster_at(tmp_path, server.url).delete(POD)


def test_a_patch_that_was_done_is_a_conflict_when_repeated(tmp_path: Path) -> None:
    with Scripted((reset(), status(409, "changed", "Conflict"))) as server, pytest.raises(ConflictError):
        cluster_at(tmp_path, server.url).patch(POD, {"metadata": {"resourceVersion": "1"}})
    assert [r.body for r in server.requests] == [b'{"metadata":{"resourceVersion":"1"}}'] * 2


def test_a_review_is_repeated(tmp_path: Path) -> None:
    with Scripted((status(503, "away"), answer(201, {"status": {"allowed": True}}))) as server:
        assert cluster_at(tmp_path, server.url).can(permission("get", PODS, "shop", subresource="log")) is True
    assert server.requests[1].json["spec"] == {"resourceAttributes": {"verb": "get", "resource": "pods", "subresource": "log", "namespace": "shop"}}


# the policy itself


def test_attempts_are_told_what_is_left_and_whether_one_may_have_been_done() -> None:
    clock, seen = StepClock(), []

    def attempt(tried: Try) -> str:
        seen.append(tried)
        clock.sleep(1)
        if len(seen) < 3:
            raise Transient(UnreachableError("away"), sent=len(seen) == 2)
        return "done"

    assert retry.call(attempt, clock, 30) == "done"
    assert [t.maybe_done for t in seen] == [False, False, True]
    assert seen[0].left == 30
    assert seen[2].left == pytest.approx(30 - clock.monotonic() + 1)


def test_waits_grow_and_are_spread() -> None:
    def waits() -> list[float]:
        clock = StepClock()

        def attempt(tried: Try) -> None:
            raise Transient(ApiError("no", status=500))

        with pytest.raises(ApiError):
            retry.call(attempt, clock, 60)
        return clock.slept

    first, second = waits(), waits()
    assert first != second
    assert all(0 <= w <= retry.LONGEST_WAIT for w in first)
    assert first[0] <= retry.FIRST_WAIT


def test_the_hot_path_imports_no_retry_library(tmp_path: Path) -> None:
    """Measured: tenacity 22 ms, the official client 500 ms."""
    with Scripted((answer(body={"items": [], "metadata": {}}),)) as server:
        cluster_at(tmp_path, server.url)
        code = f"""
import sys
from irkit.adapters.kubernetes import connect
from irkit.model.kube import PODS
from irkit.settings import Settings
connect(Settings(kubeconfig={str(tmp_path / "kubeconfig")!r})).list(PODS)
heavy = {{"tenacity", "kubernetes", "urllib3", "yaml", "asyncio", "logging", "subprocess", "tempfile"}} & set(sys.modules)
print(sorted(heavy))
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
