"""The runbooks about Secrets, accounts, images and nodes, pasted into a shell against a real control plane, by kubectl alone."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from irkit.engine import library
from tests.controlplane.running import Running
from tests.docs.runbooks import edited, found, play

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]

DIGEST = f"registry.example/app@sha256:{'a' * 64}"
LABELS = {"app": "it"}


@pytest.fixture
def app(control_plane: Running, namespace: str) -> Running:
    """A Deployment of two pods that use a Secret and a ServiceAccount."""
    env = [{"secretRef": {"name": "it"}}]
    spec = {"serviceAccountName": "it", "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "app", "image": "registry.example/app:1", "envFrom": env}]}  # fmt: skip
    control_plane.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "it"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "it"}, "stringData": {"SECRET_KEY": "old", "OTHER": "kept"}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "it"},
         "spec": {"replicas": 2, "selector": {"matchLabels": LABELS}, "template": {"metadata": {"labels": LABELS}, "spec": spec}}},
        namespace=namespace,
    )  # fmt: skip
    control_plane.pods(namespace, "app=it", count=2)
    return control_plane


class Page:
    """A runbook, and somebody who pastes it; lines that are to be edited are."""

    def __init__(self, name: str, plane: Running, home: Path) -> None:
        self.text, self.plane, self.home = (library.builtin("runbooks") / f"{name}.md").read_text(), plane, home

    def paste(self, names: str, *tags: str, edits: Mapping[str, str] = {}) -> str:
        """All untagged blocks in their place, with those of ``tags``; ``edits``: what a person puts for a name that the page has them edit."""
        scripts = [edited(block.script, edits) for block in found(self.text, "") if not block.tags or set(block.tags) & set(tags)]
        return play(scripts, names, kubeconfig=self.plane.admin_kubeconfig, path=[self.plane.kubectl_program.parent], home=self.home)

    @property
    def case(self) -> Path:
        (case,) = self.home.glob("incident-*")
        return case


def data(plane: Running, namespace: str) -> dict[str, bytes]:
    found = plane.get("secret", "it", "-n", namespace)["data"]
    return {key: base64.b64decode(value) for key, value in found.items()}


def test_a_leaked_secret(app: Running, namespace: str, tmp_path: Path):
    page, before = Page("leaked-secret", app, tmp_path), {p["metadata"]["uid"] for p in app.pods(namespace, "app=it", count=2)}
    said = page.paste(f"NS={namespace} SECRET=it", "generated", "restart", edits={"RESTART": "deployment/it"})
    after = data(app, namespace)
    assert re.fullmatch(rb"[A-Za-z0-9]{48}", after["SECRET_KEY"])
    assert after["OTHER"] == b"kept"
    assert after["SECRET_KEY"].decode() not in said
    assert not before & {p["metadata"]["uid"] for p in app.pods(namespace, "app=it", count=2)}
    assert not (page.case / "new").exists()
    assert len(list((page.case / "pods").glob("it-*.yaml"))) == 2
    assert page.case.stat().st_mode & 0o777 == 0o700


def test_database_credentials(app: Running, namespace: str, tmp_path: Path):
    page = Page("database-credentials", app, tmp_path)
    page.paste(f"NS={namespace} SECRET=it")
    assert len([log for log in (page.case / "pods").glob("it-*.log") if not log.name.endswith(".previous.log")]) == 2
    assert data(app, namespace)["SECRET_KEY"] == b"old"


def test_a_compromised_service_account(app: Running, namespace: str, tmp_path: Path):
    token = app.kubectl("-n", namespace, "create", "token", "it").stdout.strip()
    before = app.get("serviceaccount", "it", "-n", namespace)["metadata"]["uid"]
    page = Page("compromised-service-account", app, tmp_path)
    page.paste(f"NS={namespace} ACCOUNT=it", "restart", edits={"RESTART": "deployment/it"})
    assert app.get("serviceaccount", "it", "-n", namespace)["metadata"]["uid"] != before
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {"name": "x"}, "spec": {"token": token}}
    answer = app.kubectl("create", "-o", "jsonpath={.status.authenticated}", "-f", "-", stdin=json.dumps(review)).stdout
    assert answer in ("", "false")
    assert len(list((page.case / "pods").glob("*.yaml"))) == 2


def test_a_vulnerable_image(app: Running, namespace: str, tmp_path: Path):
    names = f"NS={namespace} WORKLOAD=deployment/it"
    Page("vulnerable-image", app, tmp_path).paste(names, "redeploy", edits={"IMAGE": DIGEST})
    assert {p["spec"]["containers"][0]["image"] for p in app.pods(namespace, "app=it", count=2)} == {DIGEST}
    back = tmp_path / "again"
    back.mkdir()
    Page("vulnerable-image", app, back).paste(names, "undo")
    assert {p["spec"]["containers"][0]["image"] for p in app.pods(namespace, "app=it", count=2)} == {DIGEST}, "as it was when the page began"


def test_a_scheduled_rotation(app: Running, namespace: str, tmp_path: Path):
    said = Page("scheduled-rotation", app, tmp_path).paste(f"NS={namespace}")
    assert re.search(r"^\d{4}-\S+ it \(", said, re.MULTILINE)


def test_a_cryptominer(app: Running, namespace: str, tmp_path: Path):
    pod = app.pods(namespace, "app=it", count=2)[0]["metadata"]["name"]
    said = Page("cryptominer", app, tmp_path).paste(f"NS={namespace} POD={pod}")
    assert "registry.example/app:1" in said


def test_a_compromised_pod_is_recovered(app: Running, namespace: str, tmp_path: Path):
    pod = app.pods(namespace, "app=it", count=2)[0]["metadata"]["name"]
    page = Page("compromised-pod", app, tmp_path)
    page.paste(f"NS={namespace} POD={pod}", "redeploy", "undo", edits={"IMAGE": DIGEST})
    new = [p for p in app.pods(namespace, count=3) if p["metadata"]["name"] != pod]
    assert {p["spec"]["containers"][0]["image"] for p in new} == {DIGEST}
    assert (page.case / "reached-secrets.txt").read_text().split() == ["it"]


@pytest.mark.parametrize("way", ["undo", "delete"])
def test_a_compromised_node(app: Running, namespace: str, tmp_path: Path, way: str):
    ending = [n["metadata"]["name"] for n in app.get("namespaces")["items"] if n["status"]["phase"] == "Terminating"]
    if ending:  # what other tests leave there may not be changed any more
        app.kubectl("wait", "--for=delete", "--timeout=60s", *(f"namespace/{n}" for n in ending))
    pods = app.pods(namespace, "app=it", count=2)
    node = pods[0]["spec"]["nodeName"]
    ours = {p["metadata"]["name"] for p in pods if p["spec"]["nodeName"] == node}
    page = Page("compromised-node", app, tmp_path)
    page.paste(f"NODE={node}", *({"undo", way}))
    left = {p["metadata"]["name"]: p for p in app.pods(namespace, count=2 if way == "delete" else 2 + len(ours))}
    assert not app.get("node", node)["spec"].get("unschedulable"), "undo takes the cordon off"
    assert f"{namespace} secret/it" in (page.case / "reached.txt").read_text()
    if way == "delete":
        assert not ours & left.keys()
        assert app.get("networkpolicies", "-n", namespace)["items"] == []
    else:
        assert all(left[name]["metadata"]["labels"].keys() == {"quarantine", "irkit.dev/incident"} for name in ours)
        assert all("ownerReferences" not in left[name]["metadata"] for name in ours)
