"""The adapter against a real API server."""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from irkit.adapters.kubernetes import KubernetesCluster, connect
from irkit.errors import ApiError, ConflictError, ForbiddenError, InvalidError, NotFoundError, UnreachableError
from irkit.model.kube import (
    CONFIGMAPS,
    DEPLOYMENTS,
    NAMESPACES,
    NODES,
    PODS,
    Obj,
    ObjectRef,
    Resource,
    permission,
    ref_of,
)  # fmt: skip
from irkit.model.kube import at as field
from irkit.settings import Settings
from tests.adapters.proxy import Proxy
from tests.controlplane.running import Running, User

pytestmark = pytest.mark.controlplane


def at(kubeconfig: Path, **more: Any) -> KubernetesCluster:
    return connect(Settings(kubeconfig=str(kubeconfig)), dict(os.environ), **more)


@pytest.fixture
def cluster(control_plane: Running) -> Iterator[KubernetesCluster]:
    connected = at(control_plane.admin_kubeconfig)
    yield connected
    connected.close()


def config_map(namespace: str, name: str, **data: str) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace, "labels": {"set": "x"}}, "data": data}


def pod(control_plane: Running, cluster: KubernetesCluster, namespace: str, name: str = "web") -> ObjectRef:
    spec = {"containers": [{"name": "app", "image": "localhost/app:1"}]}
    cluster.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec})
    (found,) = control_plane.pods(namespace, count=1)
    return ref_of(found, PODS)


# who and where


def test_which_cluster_and_who(control_plane: Running, cluster: KubernetesCluster) -> None:
    identity = cluster.identify()
    assert identity.uid == control_plane.get("namespace", "kube-system")["metadata"]["uid"]
    assert (identity.server, identity.clock_skew) == (control_plane.url, 0.0)
    assert identity.version.startswith("v1.")
    assert cluster.whoami().name == "admin"
    assert "system:masters" in cluster.whoami().groups


@pytest.mark.parametrize("form", ["data", "files", "token", "token-file", "exec", "server-name", "insecure", "proxy"])
def test_each_form_of_a_kubeconfig_connects(control_plane: Running, tmp_path: Path, form: str) -> None:
    by_certificate, by_token = (json.loads(f.read_text()) for f in (control_plane.admin_kubeconfig, control_plane.token_kubeconfig))
    config = by_certificate if form in ("data", "files", "server-name", "insecure", "proxy") else by_token
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    with Proxy("http") as proxy:
        if form == "files":
            for key in [k for k in user if k.endswith("-data")]:
                (tmp_path / key).write_bytes(base64.b64decode(user.pop(key)))
                user[key.removesuffix("-data")] = key
        if form == "token-file":
            (tmp_path / "token").write_text(user.pop("token"))
            user["tokenFile"] = "token"
        if form == "exec":
            status = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": user.pop("token")}}
            (tmp_path / "plugin").write_text(f"#!{sys.executable}\nprint({json.dumps(json.dumps(status))})\n")
            (tmp_path / "plugin").chmod(0o700)
            user["exec"] = {"apiVersion": status["apiVersion"], "command": "./plugin", "interactiveMode": "Never"}
        if form == "server-name":
            cluster["tls-server-name"] = "kubernetes.default.svc"
        if form == "insecure":
            del cluster["certificate-authority-data"]
            cluster["insecure-skip-tls-verify"] = True
        if form == "proxy":
            cluster["proxy-url"] = f"http://127.0.0.1:{proxy.port}"
        file = tmp_path / "config"
        file.write_text(json.dumps(config))
        connected = at(file)
        assert connected.whoami().name == "admin"
        connected.close()
        assert bool(proxy.asked) == (form == "proxy")


def test_a_token_that_is_not_known(control_plane: Running, tmp_path: Path) -> None:
    config = json.loads(control_plane.token_kubeconfig.read_text())
    config["users"][0]["user"]["token"] = "hunter2"
    (tmp_path / "config").write_text(json.dumps(config))
    with pytest.raises(ForbiddenError, match=r"does not accept the credentials of kubeconfig user .* \(401\)") as caught:
        at(tmp_path / "config").list(PODS)
    assert "hunter2" not in str(caught.value)


def test_somebody_impersonated(control_plane: Running, tmp_path: Path) -> None:
    config = json.loads(control_plane.admin_kubeconfig.read_text())
    config["users"][0]["user"] |= {"as": "jane", "as-groups": ["dev", "ops"]}
    (tmp_path / "config").write_text(json.dumps(config))
    operator = at(tmp_path / "config").whoami()
    assert operator.name == "jane"
    assert {"dev", "ops"} <= set(operator.groups)


# what may be done


def test_rights_and_their_absence(control_plane: Running, namespace: str, user: Callable[..., User]) -> None:
    role = f"""
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: read-logs, namespace: {namespace}}}
rules: [{{apiGroups: [""], resources: [pods/log], verbs: [get]}}]
"""
    cluster = at(user(role).kubeconfig)
    assert cluster.can(permission("get", PODS, namespace, subresource="log"))
    assert not cluster.can(permission("get", PODS, namespace))
    assert not cluster.can(permission("get", PODS, "default", subresource="log"))
    with pytest.raises(ForbiddenError, match=r'User "user-\d+" cannot list resource "pods" in API group "" in the namespace'):
        cluster.list(PODS, namespace)
    with pytest.raises(ForbiddenError, match="cannot create"):
        cluster.create(CONFIGMAPS, config_map(namespace, "x"))
    assert cluster.identify().uid.startswith("ca:")


# reading


def test_a_list_longer_than_a_page(control_plane: Running, namespace: str) -> None:
    cluster = at(control_plane.admin_kubeconfig)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: cluster.create(CONFIGMAPS, config_map(namespace, f"c{n:03}")), range(520)))
    mark = control_plane.mark()
    found = cluster.list(CONFIGMAPS, namespace, labels="set=x")
    assert sorted(o["metadata"]["name"] for o in found) == [f"c{n:03}" for n in range(520)]
    assert {(o["apiVersion"], o["kind"]) for o in found} == {("v1", "ConfigMap")}
    small = at(control_plane.admin_kubeconfig, page=100)
    assert len(small.list(CONFIGMAPS, namespace, labels="set=x")) == 520
    assert len([e for e in control_plane.audit(mark, agent="irkit/") if e["verb"] == "list"]) == 2 + 6
    assert [o["metadata"]["name"] for o in cluster.list(CONFIGMAPS, namespace, fields="metadata.name=c007")] == ["c007"]


def test_what_is_not_there(cluster: KubernetesCluster, namespace: str) -> None:
    with pytest.raises(NotFoundError, match='configmaps "none" not found'):
        cluster.get(ObjectRef(resource=CONFIGMAPS, name="none", namespace=namespace))
    with pytest.raises(NotFoundError):
        cluster.list(Resource("nowhere.example", "v1", "things", "Thing"), namespace)
    with pytest.raises(ApiError):
        cluster.get(ObjectRef(resource=PODS, name="../../nodes/x" + "y" * 300 + "\x1b", namespace=namespace))


def test_a_watch_over_changes_and_a_break(control_plane: Running, namespace: str, tmp_path: Path) -> None:
    """Through a proxy whose connections are cut in the middle."""
    admin = at(control_plane.admin_kubeconfig)
    admin.create(CONFIGMAPS, config_map(namespace, "a", v="0"))
    config = json.loads(control_plane.admin_kubeconfig.read_text())
    seen: list[tuple[str, str, str]] = []
    with Proxy("http") as proxy:
        config["clusters"][0]["cluster"]["proxy-url"] = f"http://127.0.0.1:{proxy.port}"
        (tmp_path / "config").write_text(json.dumps(config))
        watched = threading.Event()

        def watch() -> None:
            for kind, obj in at(tmp_path / "config").watch(CONFIGMAPS, namespace, labels="set=x", timeout=20):
                seen.append((kind, obj["metadata"]["name"], (obj.get("data") or {}).get("v", "")))
                watched.set()
                if seen[-1][0] == "DELETED":
                    return

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        assert watched.wait(10)
        ref = ObjectRef(resource=CONFIGMAPS, name="a", namespace=namespace)
        admin.patch(ref, {"data": {"v": "1"}})
        until(lambda: len(seen) == 2)
        proxy.cut()
        admin.patch(ref, {"data": {"v": "2"}})
        admin.create(CONFIGMAPS, config_map(namespace, "b"))
        until(lambda: len(seen) == 4)
        admin.delete(ref)
        thread.join(10)
        assert len(proxy.asked) > 1
    assert seen == [("ADDED", "a", "0"), ("MODIFIED", "a", "1"), ("MODIFIED", "a", "2"), ("ADDED", "b", ""), ("DELETED", "a", "2")]


def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_watch_ends_by_itself(cluster: KubernetesCluster, namespace: str) -> None:
    began = time.monotonic()
    assert list(cluster.watch(CONFIGMAPS, namespace, labels="set=x", timeout=1)) == []
    assert 0.9 < time.monotonic() - began < 5


def test_logs_are_streamed_as_they_are(control_plane: Running, cluster: KubernetesCluster, namespace: str) -> None:
    ref = pod(control_plane, cluster, namespace)
    lines = [b"\x1b[31m\x00\xff", b"", *[f"line {n} ".encode() * 20 for n in range(20_000)]]
    control_plane.set_logs(namespace, ref.name, {"app": lines}, previous={"app": [b"before"]})
    expected = 0
    for _ in range(50):  # the simulated kubelet takes a moment to see its Logs object
        with cluster.logs(ref, "app") as pieces:
            got = list(pieces)
        expected = sum(len(line) + 1 for line in lines)
        if len(b"".join(got)) > expected:
            break
        time.sleep(0.1)
    received = b"".join(got).split(b"\n")[:-1]
    assert [line.partition(b" ")[2] for line in received] == lines
    assert all(line.startswith(b"2026-01-01T00:") for line in received), "with timestamps"
    assert min(len(p) for p in got[:-1]) >= 64 * 1024
    with cluster.logs(ref, "app", previous=True) as pieces:
        assert b"".join(pieces).endswith(b"before\n")


def test_logs_that_cannot_be_had(control_plane: Running, cluster: KubernetesCluster, namespace: str) -> None:
    ref = pod(control_plane, cluster, namespace)
    gone = ObjectRef(resource=PODS, name="gone", namespace=namespace)
    for bad, container, kind in ((ref, "nope", InvalidError), (gone, "app", NotFoundError)):
        with pytest.raises(kind), cluster.logs(bad, container):
            raise AssertionError("entered")
    away = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"away-{namespace[-6:]}"}}
    cluster.create(NODES, away)
    node = ObjectRef(resource=NODES, name=away["metadata"]["name"])  # type: ignore[index]
    try:
        until(lambda: bool(field(cluster.get(node), ("status", "conditions"))))  # the simulation has taken the node over
        status = {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}], "daemonEndpoints": {"kubeletEndpoint": {"Port": 1}}}
        cluster.patch(node, {"status": status}, subresource="status")
        spec = {"nodeName": node.name, "containers": [{"name": "app", "image": "x"}]}
        lost = cluster.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "lost", "namespace": namespace}, "spec": spec})
        with pytest.raises(UnreachableError, match=r"\(500\).*connection refused"), cluster.logs(ref_of(lost, PODS), "app"):
            raise AssertionError("entered")
    finally:
        cluster.delete(node)


# writing


def test_a_life_of_an_object(control_plane: Running, cluster: KubernetesCluster, namespace: str) -> None:
    mark = control_plane.mark()
    ref = ObjectRef(resource=CONFIGMAPS, name="x", namespace=namespace)
    dry = cluster.create(CONFIGMAPS, config_map(namespace, "x", a="1"), dry_run=True)
    assert dry["data"] == {"a": "1"}
    with pytest.raises(NotFoundError):
        cluster.get(ref)
    made = cluster.create(CONFIGMAPS, config_map(namespace, "x", a="1"))
    assert made["metadata"]["managedFields"][0]["manager"] == "irkit"
    with pytest.raises(ConflictError) as caught:
        cluster.create(CONFIGMAPS, config_map(namespace, "x", a="1"))
    assert (caught.value.status, caught.value.reason) == (409, "AlreadyExists")
    pinned = {"metadata": {"uid": made["metadata"]["uid"], "resourceVersion": made["metadata"]["resourceVersion"]}}
    assert cluster.patch(ref, {"data": {"a": None, "b": "2"}, **pinned}, dry_run=True)["data"] == {"b": "2"}
    assert cluster.patch(ref, {"data": {"a": None, "b": "2"}, **pinned})["data"] == {"b": "2"}
    with pytest.raises(ConflictError):
        cluster.patch(ref, {"data": {"b": "3"}, **pinned})
    with pytest.raises(ConflictError):
        cluster.patch(ref, {"data": {"b": "3"}, "metadata": {"uid": "00000000-0000-0000-0000-000000000000"}})
    other = ObjectRef(resource=CONFIGMAPS, name="x", namespace=namespace, uid="00000000-0000-0000-0000-000000000000")
    with pytest.raises(ConflictError):
        cluster.delete(other)
    cluster.delete(ref_of(made, CONFIGMAPS), dry_run=True)
    assert cluster.get(ref)["data"] == {"b": "2"}
    cluster.delete(ref_of(made, CONFIGMAPS))
    with pytest.raises(NotFoundError):
        cluster.delete(ref)
    writes = [e for e in control_plane.audit(mark, agent="irkit/") if e["verb"] not in ("get", "list", "watch")]
    assert len(writes) == 11
    assert all("fieldManager=irkit" in e["requestURI"] for e in writes)
    assert sum("dryRun=All" in e["requestURI"] for e in writes) == 3


def test_what_validation_refuses(cluster: KubernetesCluster, namespace: str) -> None:
    with pytest.raises(InvalidError, match='unknown field "dta"') as caught:
        cluster.create(CONFIGMAPS, {**config_map(namespace, "x"), "dta": {}})
    assert caught.value.status == 400
    with pytest.raises(InvalidError, match="a lowercase RFC 1123") as caught:
        cluster.create(CONFIGMAPS, config_map(namespace, "Not_A_Name"))
    assert caught.value.status == 422


def test_a_refusal_by_admission_is_not_a_missing_right(control_plane: Running, cluster: KubernetesCluster, namespace: str) -> None:
    cluster.patch(ObjectRef(resource=NAMESPACES, name=namespace), {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    spec = {"containers": [{"name": "app", "image": "x", "securityContext": {"privileged": True}}]}

    bad = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bad", "namespace": namespace}, "spec": spec}
    with pytest.raises(InvalidError, match="violates PodSecurity") as caught:
        until(lambda: not cluster.create(PODS, bad, dry_run=True))  # until the admission plugin has seen the label
    assert caught.value.status == 403


def test_a_job_takes_its_pods_along(control_plane: Running, cluster: KubernetesCluster, namespace: str) -> None:
    """Deleted without a propagation policy, a Job of batch/v1 would leave them."""
    jobs = Resource("batch", "v1", "jobs", "Job")
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "app", "image": "x"}]}}
    job = cluster.create(
        jobs, {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "namespace": namespace}, "spec": {"template": template}}
    )
    control_plane.pods(namespace, "job-name=j", count=1)
    cluster.delete(ref_of(job, jobs))
    until(lambda: not cluster.list(PODS, namespace, labels="job-name=j"))


def test_a_scale_by_its_subresource(control_plane: Running, cluster: KubernetesCluster, namespace: str) -> None:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": "x"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    made = cluster.create(
        DEPLOYMENTS, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": namespace}, "spec": spec}
    )
    ref = ref_of(made, DEPLOYMENTS)
    control_plane.pods(namespace, "app=web", count=2)
    assert cluster.patch(ref, {"spec": {"replicas": 0}}, subresource="scale")["kind"] == "Scale"
    assert cluster.get(ref, subresource="scale")["spec"] == {} or cluster.get(ref)["spec"]["replicas"] == 0
    until(lambda: not cluster.list(PODS, namespace, labels="app=web"))
