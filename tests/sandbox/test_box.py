"""The rehearsal cluster as a whole: it starts at once, tells the same story for the same seed, and forgets its keys."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import urllib3

from irkit.errors import UsageError
from irkit.model import kube
from irkit.model.kube import selects
from irkit.sandbox import Sandbox, serve, tls
from irkit.sandbox.logs import Line
from tests.clocks import StepClock
from tests.contracts.client import JSON_PATCH, Api, until


def world(box: Sandbox) -> dict[str, Any]:
    """Everything that is in it, without what differs at each start."""
    return {f"{served.qualified}/{obj['metadata'].get('namespace')}/{obj['metadata']['name']}": obj for served, obj in box.store.everything()}


def test_the_same_seed_is_the_same_cluster(tmp_path: Path) -> None:
    one, two, other = (world(Sandbox(seed=seed, clock=StepClock(), home=tmp_path)) for seed in (5, 5, 6))
    assert one == two
    assert set(one) != set(other)


def test_the_suspect_is_under_attack(box: Sandbox) -> None:
    namespace, name = box.suspect
    pod = box.store.find(kube.PODS, name, namespace)
    assert pod is not None
    assert pod["metadata"]["labels"]["app"] == "backend"
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 2
    run = box.logs.find(pod["metadata"]["uid"], "backend")
    assert run is not None
    text = b"\n".join(line.text for line in run())
    for hostile in (b"\x1b[31m", b"<script>", b"\x00", b"\xff\xfe", b"canary-secret-key-0002"):
        assert hostile in text
    assert box.logs.find(pod["metadata"]["uid"], "backend", previous=True) is not None
    events = [e for e in box.store.all(box.store.catalog.of_resource(kube.EVENTS), namespace) if e["involvedObject"]["name"] == name]
    assert any(e["lastTimestamp"] is None and e["eventTime"] for e in events)
    assert any(e["lastTimestamp"] for e in events)


@pytest.mark.parametrize(("seed", "leak"), [(0, ""), (3, "allow-dns"), (7, "allow-monitoring"), (8, ""), (17, "allow-monitoring")])
def test_planted_leaks_select_a_quarantined_pod(tmp_path: Path, seed: int, leak: str) -> None:
    box = Sandbox(seed=seed, home=tmp_path)
    policies = box.store.all(box.store.catalog.of_resource(kube.NETWORKPOLICIES), "todo-app")
    after = {"quarantine": "true", "irkit.dev/incident": "k7q2"}
    found = {p["metadata"]["name"] for p in policies if selects(p["spec"]["podSelector"], after) and p["spec"].get("egress")}
    assert found == ({leak} if leak else set())
    assert box.scenario.leaks is bool(leak)


def test_it_starts_fast(tmp_path: Path) -> None:
    times = []
    for _ in range(5):
        began = time.perf_counter()
        with Sandbox(home=tmp_path) as box:
            assert Api(box.kubeconfig, tmp_path).get("/version")["major"] == "1"
            times.append(time.perf_counter() - began)
    assert min(times) < 0.3, times


def test_keys_are_new_and_nowhere_on_disk(tmp_path: Path) -> None:
    one, two = tls.make(), tls.make()
    assert len({one.key, two.key, one.ca, two.ca, one.certificate, two.certificate}) == 6
    with Sandbox(home=tmp_path) as box:
        assert not [p for p in tmp_path.rglob("*") if b"PRIVATE KEY" in p.read_bytes()]
        assert box.kubeconfig.stat().st_mode & 0o777 == 0o600


def test_the_certificate_passes_a_strict_verifier(box: Sandbox, tmp_path: Path) -> None:
    document = json.loads(box.kubeconfig.read_text())
    ca = ssl.create_default_context(cadata=_pem(document["clusters"][0]["cluster"]["certificate-authority-data"]))
    ca.verify_flags |= ssl.VERIFY_X509_STRICT
    for host in (box.url, box.url.replace("127.0.0.1", "localhost")):
        with urllib3.PoolManager(ssl_context=ca, retries=False) as pool:
            assert pool.request("GET", f"{host}/version").status == 403  # anonymous, but the handshake is done
    other = ssl.create_default_context(cadata=tls.make().ca.decode())
    with urllib3.PoolManager(ssl_context=other, retries=False) as pool, pytest.raises(urllib3.exceptions.SSLError):
        pool.request("GET", f"{box.url}/version")


def _pem(data: str) -> str:
    import base64

    return base64.b64decode(data).decode()


def test_answers_come_before_their_consequences(box: Sandbox, api: Api) -> None:
    namespace, name = box.suspect
    path = kube.PODS.path(namespace, name)
    box.hold()
    api.patch(path, {"metadata": {"labels": {"app": None}}})
    assert api.get(path)["metadata"]["ownerReferences"]
    box.release()
    assert box.settle()
    assert "ownerReferences" not in api.get(path)["metadata"]


def test_time_is_the_clocks(tmp_path: Path) -> None:
    clock = StepClock(datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC))
    with Sandbox(clock=clock, home=tmp_path, lag=0) as box:
        api = Api(box.kubeconfig, tmp_path)
        made = api.create(kube.CONFIGMAPS.path("todo-app"), {"metadata": {"name": "x"}})
        assert made["metadata"]["creationTimestamp"] == "2030-01-02T03:04:05Z"
        assert box.audit[-1]["stageTimestamp"] == "2030-01-02T03:04:05.000000Z"


def test_the_audit_log_has_the_shape_of_the_real_one(box: Sandbox, api: Api, tmp_path: Path) -> None:
    namespace, name = box.suspect
    api.patch(f"{kube.PODS.path(namespace, name)}?fieldManager=irkit&dryRun=All", {"metadata": {"labels": {"a": "b"}}})
    event = box.audit[-1]
    assert (event["kind"], event["apiVersion"], event["level"], event["stage"]) == ("Event", "audit.k8s.io/v1", "Metadata", "ResponseComplete")
    assert event["requestURI"].endswith("?fieldManager=irkit&dryRun=All")
    assert event["verb"] == "patch"
    assert event["user"]["username"] == "oncall@example.com"
    assert event["userAgent"] == "irkit/contract"
    assert event["objectRef"] == {"resource": "pods", "namespace": namespace, "name": name, "apiVersion": "v1"}
    assert event["responseStatus"]["code"] == 200
    assert event["requestReceivedTimestamp"] <= event["stageTimestamp"]
    api.send("GET", kube.PODS.path(namespace, name, "log"))
    assert until(lambda: [e["stage"] for e in box.audit[1:]] == ["ResponseStarted", "ResponseComplete"], "the log read is complete")
    stranger = Api(box.token_for("mallory"), tmp_path)
    stranger.send("DELETE", kube.PODS.path(namespace, name))
    assert (box.audit[-1]["responseStatus"]["code"], box.audit[-1]["verb"]) == (403, "delete")


def test_a_huge_log_streams(box: Sandbox, api: Api) -> None:
    namespace, name = box.suspect
    box.write_log(namespace, name, "backend", lambda: (Line(n, b"x" * 10_000_000) for n in range(4)))
    assert len(api.send("GET", kube.PODS.path(namespace, name, "log")).data) == 4 * 10_000_001


def test_a_restart_moves_the_log(box: Sandbox, api: Api) -> None:
    namespace, name = box.suspect
    path = kube.PODS.path(namespace, name, "log")
    before = api.send("GET", path).data
    box.restart(namespace, name, "backend")
    assert api.send("GET", f"{path}?previous=true").data == before
    assert api.get(kube.PODS.path(namespace, name))["status"]["containerStatuses"][0]["restartCount"] == 3


def test_a_watch_or_page_from_before_the_history_starts_again(box: Sandbox, api: Api) -> None:
    """Seen on Kubernetes 1.35.4: 410 for a page of revision 1 after a compaction; its watch cache keeps what a test can write."""
    maps = kube.CONFIGMAPS.path("kube-system")
    for n in range(3):
        api.create(maps, {"metadata": {"name": f"m{n}"}})
    page = api.get(f"{maps}?limit=1")
    api.create(maps, {"metadata": {"name": "later"}})
    box.store.compact()
    reply = api.send("GET", f"{maps}?limit=1&continue={page['metadata']['continue']}")
    assert (reply.status, reply.json["reason"]) == (410, "Expired")
    (event,) = api.watch(f"{maps}?watch=true&resourceVersion={page['metadata']['resourceVersion']}&timeoutSeconds=5")
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_many_clients_at_once(box: Sandbox, tmp_path: Path) -> None:
    maps, failed = kube.CONFIGMAPS.path("todo-app"), []

    def work(number: int, api: Api) -> None:
        for n in range(10):
            reply = api.send("POST", maps, {"metadata": {"name": f"m-{number}-{n}"}})
            if reply.status != 201 or api.send("GET", f"{maps}/m-{number}-{n}").status != 200:
                failed.append((number, n, reply.status))

    threads = [threading.Thread(target=work, args=(n, Api(box.kubeconfig, tmp_path))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failed == []
    versions = [int(item["metadata"]["resourceVersion"]) for item in Api(box.kubeconfig, tmp_path).get(maps)["items"]]
    assert len(versions) == len(set(versions)) == 81


def test_serve_runs_until_it_is_stopped(tmp_path: Path) -> None:
    stop, seen = threading.Event(), []

    def ready(box: Sandbox) -> None:
        seen.append(Api(box.kubeconfig, tmp_path).get("/version")["major"])
        stop.set()

    serve("todo-app", 0, home=tmp_path, ready=ready, stop=stop)
    assert seen == ["1"]


def test_images_that_give_trouble(tmp_path: Path) -> None:
    """kwok runs everything, so that there is no real one to compare with."""
    with Sandbox("empty", home=tmp_path) as box:
        api = Api(box.kubeconfig, tmp_path)
        images, good = box.store.images, "r.example:5000/app@sha256:" + "1" * 64
        slow, none = images.spoil("r.example/app:2"), images.remove("r.example/app:3")
        assert [images.state(image) for image in (good, slow, none)] == ["ready", "unready", "missing"]
        assert [images.state(f"r.example/app:{tag}") for tag in "123"] == ["ready", "unready", "missing"]

        def pod(name: str, image: str) -> dict[str, Any]:
            api.create(kube.PODS.path("default"), {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": image}]}})
            assert until(lambda: "startTime" in api.get(kube.PODS.path("default", name))["status"], f"{name} is started")
            return api.get(kube.PODS.path("default", name))

        status = pod("good", good)["status"]
        assert (status["phase"], status["containerStatuses"][0]["ready"], status["containerStatuses"][0]["imageID"]) == ("Running", True, good)
        status = pod("slow", slow)["status"]
        assert (status["phase"], status["containerStatuses"][0]["ready"], status["containerStatuses"][0]["imageID"]) == ("Running", False, slow)
        status = pod("none", "r.example/app:3")["status"]
        assert (status["phase"], status["containerStatuses"][0]["state"]["waiting"]["reason"]) == ("Pending", "ErrImagePull")
        assert [c["status"] for c in status["conditions"] if c["type"] == "Ready"] == ["False"]
        reasons = {(e["involvedObject"]["name"], e["reason"]) for e in api.get(kube.EVENTS.path("default"))["items"]}
        assert {("none", "Failed"), ("none", "Pulling"), ("slow", "Unhealthy")} <= reasons


def test_a_failed_daemon_set_can_be_put_back(tmp_path: Path) -> None:
    with Sandbox("empty", home=tmp_path) as box:
        api, path = Api(box.kubeconfig, tmp_path), kube.DAEMONSETS.path("kube-system", "calico-node")
        box.store.images.remove("bad:1")
        image = api.get(path)["spec"]["template"]["spec"]["containers"][0]["image"]
        api.patch(path, [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "bad:1"}], JSON_PATCH)
        assert until(lambda: api.get(path)["status"].get("numberAvailable") == 2, "one is not available, the others are left")
        api.patch(path, [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}], JSON_PATCH)
        assert until(lambda: api.get(path)["status"].get("numberAvailable") == 3, "all are back")


def test_after_the_end_nobody_answers(tmp_path: Path) -> None:
    with Sandbox(home=tmp_path) as box:
        api = Api(box.kubeconfig, tmp_path)
        api.get("/version")
    with pytest.raises(urllib3.exceptions.HTTPError):
        api.get("/version")


def test_no_such_scenario(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'todo-app'"):
        Sandbox("todo-ap", home=tmp_path)


def test_it_needs_no_heavy_import(tmp_path: Path) -> None:
    code = "import sys, irkit.sandbox; print([m for m in ('urllib3', 'kubernetes', 'rich', 'asyncio', 'cryptography') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
