"""What a second machine sees and does, as processes: the list, the incident, the way on; and the key that makes it believable."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from irkit import settings
from irkit.adapters.kubernetes import connect
from irkit.engine import copies
from irkit.model.kube import CONFIGMAPS, PODS, ObjectRef, known
from irkit.sandbox import Sandbox
from tests.e2e.running import Irkit


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(home=tmp_path / "sandbox") as cluster:
        yield cluster


def administrator(box: Sandbox, act: Callable[[Any], Any]) -> Any:
    """As an administrator of the cluster."""
    connected = connect(settings.load({"XDG_CONFIG_HOME": str(box.kubeconfig.parent)}, kubeconfig=str(box.kubeconfig)), {})
    try:
        return act(connected)
    finally:
        connected.close()


def make(box: Sandbox, kind: str, name: str, namespace: str = "", **more: Any) -> None:
    version = more.pop("version", "v1")
    meta = {"name": name, **({"namespace": namespace} if namespace else {}), **more.pop("meta", {})}
    resource = known(version, kind)
    assert resource
    administrator(box, lambda c: c.create(resource, {"apiVersion": version, "kind": kind, "metadata": meta, **more}))


def test_a_second_machine_sees_believes_and_goes_on(box: Sandbox, tmp_path: Path) -> None:
    namespace, pod = box.suspect
    first, second = Irkit(box.kubeconfig, tmp_path / "first"), Irkit(box.kubeconfig, tmp_path / "second")
    refused = first.run("doctor", "--create-signing-key", "--yes").ended(8)
    assert "has no namespace irkit-system" in refused.stderr
    make(box, "Namespace", "irkit-system")
    assert "are not signed" in first.run("doctor", "-n", namespace).stdout
    first.run("doctor", "--create-signing-key").ended(3)
    made = first.run("doctor", "--create-signing-key", "--yes").ended(0)
    assert "are signed from now on" in made.stdout
    first.run("doctor", "--create-signing-key", "--yes").ended(8)
    assert "copies in irkit-system are signed" in first.run("doctor", "-n", namespace).stdout

    assert second.json("incident", "list")["items"] == []
    incident = first.json("contain", pod, "-n", namespace, "--yes")["incident"]
    (here,) = first.json("incident", "list")["items"]
    (there,) = second.json("incident", "list")["items"]
    assert (here["id"], here["where"]) == (incident, "here and cluster")
    assert (there["id"], there["where"], there["status"]) == (incident, "cluster", "contained")
    assert {k: v for k, v in here.items() if k != "where"} == {k: v for k, v in there.items() if k != "where"}
    assert second.json("incident", "list", "--local")["items"] == []
    shown = second.json("incident", "show", incident)
    assert shown["where"] == "cluster"
    assert shown["bags"] == []
    assert shown["elsewhere"][0]["where"].endswith(f"/first/incidents/{incident}/bags/1")
    assert socket.gethostname() in shown["elsewhere"][0]["where"]
    assert second.json("incident", "list", "--local")["items"] == [], "looking takes nothing over"
    assert f"bag 1: {socket.gethostname()}: " in second.run("incident", "show").ended(0).stdout
    second.run("incident", "show", incident, "--local").ended(2)

    assert second.json("verify", incident)["incident"] == incident
    assert second.json("resume", incident, "--yes")["incident"] == incident
    assert second.json("lift", incident, "--yes")["outcome"] == "lifted"
    (here,) = first.json("incident", "list", "--all")["items"]
    assert here["where"] == "gone on with elsewhere"
    assert here["status"].startswith("lifted")
    assert first.json("incident", "show", incident)["status"].startswith("lifted")
    third = Irkit(box.kubeconfig, tmp_path / "third")
    assert third.json("incident", "list")["items"] == [], "what is over is listed with --all"
    assert [i["id"] for i in third.json("incident", "list", "--all")["items"]] == [incident]


def test_nothing_in_the_suspects_namespace_makes_an_incident(box: Sandbox, tmp_path: Path) -> None:
    """All that its ServiceAccount could write at the worst: labels, annotations, ConfigMaps, Leases, by our own names."""
    namespace, pod = box.suspect
    make(box, "Namespace", "irkit-system")
    victim = Irkit(box.kubeconfig, tmp_path / "victim")
    incident = victim.json("contain", pod, "-n", namespace, "--yes")["incident"]
    real = administrator(box, lambda c: c.get(copies.ref_of(incident)))
    forged = incident.replace("backend", "payments")
    for identifier in (incident, forged):
        make(box, "ConfigMap", f"irkit-{identifier.lower()}", namespace, data=real["data"], binaryData=real["binaryData"],
             meta={"labels": real["metadata"]["labels"]})  # fmt: skip
    suspect = ObjectRef(resource=PODS, name=pod, namespace=namespace)
    uid = administrator(box, lambda c: c.get(suspect))["metadata"]["uid"]
    make(box, "Lease", f"irkit-{uid}", namespace, version="coordination.k8s.io/v1",
         spec={"holderIdentity": "eve", "leaseDurationSeconds": 3600, "renewTime": "2099-01-01T00:00:00.000000Z"})  # fmt: skip
    hints = {"irkit.dev/incident-id": forged, "irkit.dev/original-labels": "{}"}
    administrator(box, lambda c: c.patch(suspect, {"metadata": {"labels": {"irkit.dev/incident": "zzzzzz"}, "annotations": hints}}))
    make(box, "ConfigMap", "irkit-order-bcdfghjkmnpq", namespace, data={"order.json": "{}", "status.json": "{}"},
         meta={"labels": {"irkit.dev/order": "open"}})  # fmt: skip

    other = Irkit(box.kubeconfig, tmp_path / "other")
    assert [i["id"] for i in other.json("incident", "list")["items"]] == [incident]
    for words in (("resume", forged), ("lift", forged, "--yes"), ("incident", "show", forged), ("verify", forged)):
        assert "there is no incident" in other.run(*words).ended(2).stderr
    assert other.json("lift", incident, "--pod", "return", "--yes", code=5)["outcome"] == "incomplete", "what was changed since is left, and said"
    planted = ObjectRef(resource=CONFIGMAPS, name=f"irkit-{forged.lower()}", namespace=namespace)
    assert administrator(box, lambda c: c.get(planted))["data"] == real["data"], "left alone"


def test_a_list_does_not_wait_for_a_cluster_that_is_silent(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "x",
                  "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}], "users": [{"name": "x", "user": {}}],
                  "clusters": [{"name": "x", "cluster": {"server": f"http://127.0.0.1:{silent.getsockname()[1]}"}}]}  # fmt: skip
        (tmp_path / "config").write_text(json.dumps(config))
        irkit = Irkit(tmp_path / "config", tmp_path / "home")
        began = time.monotonic()
        document = irkit.json("incident", "list")
        assert time.monotonic() - began < 6
        assert document["items"] == []
        assert document["cluster"]["asked"]
        assert not document["cluster"]["answered"]
        assert "the cluster was not asked" in irkit.run("incident", "list").ended(0).stdout
        assert "the cluster" not in irkit.run("incident", "list", "--local").ended(0).stdout


def test_without_a_kubeconfig_the_list_is_this_machines_and_says_nothing_else(tmp_path: Path) -> None:
    out = Irkit(tmp_path / "none", tmp_path / "home").run("incident", "list").ended(0)
    assert "the cluster" not in out.stdout + out.stderr
