"""An immutable Secret, by the whole engine: a successor, its consumers moved and restarted after their evidence, the old one deleted."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from irkit.app import rotate as rotations
from irkit.credentials.moved import repointed
from irkit.engine.result import RunResult
from irkit.errors import NotFoundError
from irkit.model.kube import CRONJOBS, DEPLOYMENTS, SECRETS, SERVICEACCOUNTS, ObjectRef, Resource, at
from irkit.ports import Cluster
from tests.engine.harness import Bench, bench

NAMESPACE = "todo-app"


def ref(resource: Resource, name: str) -> ObjectRef:
    return ObjectRef(resource=resource, name=name, namespace=NAMESPACE)


def prepare(cluster: Cluster) -> None:
    """mcp-secret gets immutable; a CronJob, a Deployment without pods and a ServiceAccount use it, too."""
    cluster.patch(ref(SECRETS, "mcp-secret"), {"immutable": True})
    container = {"name": "c", "image": "i", "envFrom": [{"secretRef": {"name": "mcp-secret"}}]}
    template = {"metadata": {"labels": {"app": "idle"}}, "spec": {"containers": [container], "restartPolicy": "OnFailure"}}
    job = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": template}}}
    cluster.create(CRONJOBS, {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "yearly", "namespace": NAMESPACE}, "spec": job})
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "idle"}}, "template": {**template, "spec": {"containers": [container]}}}
    cluster.create(DEPLOYMENTS, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "idle", "namespace": NAMESPACE}, "spec": spec})
    cluster.patch(ref(SERVICEACCOUNTS, "default"), {"imagePullSecrets": [{"name": "mcp-secret"}, {"name": "other"}]})


def rotate(b: Bench) -> RunResult:
    request = msgspec.structs.replace(b.request(), command="rotate", playbook="", phase="", target=None, namespace=NAMESPACE)
    return rotations.rotate(b.ports, rotations.Wish(scope="namespace", secrets=("mcp-secret",)), request)


@pytest.mark.parametrize("times", [1, 2])
def test_consumers_are_moved(tmp_path: Path, times: int) -> None:
    with bench(tmp_path) as b:
        cluster = b.ports.cluster
        prepare(cluster)
        old = cluster.get(ref(SECRETS, "mcp-secret"))
        result = rotate(b)
        assert (result.exit_code, [s.outcome for s in result.steps]) == (0, ["done"]), result
        (credential,) = result.credentials
        assert (credential["outcome"], credential["oldValue"]) == ("rotated", "dead")
        total = credential["consumers"]["total"]
        assert (total >= 1, credential["consumers"]["restarted"]) == (True, total)
        (moved,) = [s for s in cluster.list(SECRETS, NAMESPACE) if s["metadata"]["name"].startswith("irkit-")]
        name = moved["metadata"]["name"]
        assert name.endswith("-mcp-secret")
        assert (moved["immutable"], set(moved["data"]), moved["data"] != old["data"]) == (True, set(old["data"]), True)
        with pytest.raises(NotFoundError):
            cluster.get(ref(SECRETS, "mcp-secret"))
        everything = [*cluster.list(DEPLOYMENTS, NAMESPACE), *cluster.list(CRONJOBS, NAMESPACE), cluster.get(ref(SERVICEACCOUNTS, "default"))]
        text = msgspec.json.encode(everything).decode()
        assert text.count(f'"{name}"') == text.count('mcp-secret"')
        assert at(cluster.get(ref(SERVICEACCOUNTS, "default")), ("imagePullSecrets",)) == [{"name": name}, {"name": "other"}]
        ended = {p.uid for line in b.lines() for p in getattr(getattr(line.body, "change", None), "ends", ())}
        assert ended
        assert ended <= b.state().captured
        if times == 2:  # the next incident finds it as it found the first
            again = rotations.rotate(b.ports, rotations.Wish(scope="namespace", secrets=(name,)), msgspec.structs.replace(
                b.request(), command="rotate", playbook="", phase="", target=None, namespace=NAMESPACE))  # fmt: skip
            assert [c["outcome"] for c in again.credentials] == ["rotated"]
            (third,) = [s["metadata"]["name"] for s in cluster.list(SECRETS, NAMESPACE) if s["metadata"]["name"].startswith("irkit-")]
            assert (third != name, len(third)) == (True, len(name))


def test_only_references_to_secrets_are_changed() -> None:
    spec = {"volumes": [{"name": "a", "secret": {"secretName": "a"}}, {"name": "b", "projected": {"sources": [{"secret": {"name": "a"}}]}},
                        {"name": "c", "configMap": {"name": "a"}}, {"name": "d", "csi": {"nodePublishSecretRef": {"name": "a"}}}],
            "imagePullSecrets": [{"name": "a"}, {"name": "b"}],
            "containers": [{"name": "a", "image": "a", "env": [{"name": "a", "valueFrom": {"secretKeyRef": {"name": "a", "key": "a"}}},
                                                               {"name": "x", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "a"}}}],
                            "envFrom": [{"secretRef": {"name": "a"}}, {"configMapRef": {"name": "a"}}]}]}  # fmt: skip
    moved = msgspec.json.encode(repointed(spec, {"a": "Z"})).decode()
    assert moved.count('"Z"') == 6
    assert repointed(spec, {"nothing": "Z"}) == spec
