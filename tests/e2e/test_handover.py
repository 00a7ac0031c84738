"""What a colleague at another machine sees and can take over, where the cluster has namespace irkit-system."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tests.controlplane.running import Running
from tests.e2e import world
from tests.e2e.running import Irkit, what, writes
from tests.e2e.world import Obj, name_of, uid_of

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]


@pytest.fixture(scope="module")
def irkit_system(control_plane: Running) -> Iterator[str]:
    """The namespace where colleagues find who works on what; gone again when this ends."""
    control_plane.kubectl("create", "namespace", "irkit-system")
    yield "irkit-system"
    control_plane.kubectl("delete", "namespace", "irkit-system", "--timeout=60s")


def lease(pod: Obj, holder: str, renewed: datetime, seconds: int = 60) -> Obj:
    spec = {"holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": f"{renewed:%Y-%m-%dT%H:%M:%S.%fZ}"}
    meta = {"name": f"irkit-{uid_of(pod)}", "namespace": "irkit-system", "annotations": {"irkit.dev/incident-id": "20261122T000000Z-web-other"}}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec}


def test_another_holder_of_the_lease_is_respected(control_plane: Running, namespace: str, irkit: Irkit, irkit_system: str) -> None:
    control_plane.apply(world.bare("solo", namespace))
    (pod,) = control_plane.pods(namespace, count=1)
    now = datetime.now(UTC)
    control_plane.apply(lease(pod, "eve@other-laptop", now))
    mark = control_plane.mark()
    answer = irkit.run("contain", "solo", "-n", namespace, "--yes", "-o", "json").ended(8)
    assert "held by eve@other-laptop (incident 20261122T000000Z-web-other)" in answer.document["error"]["message"]
    assert writes(control_plane.audit(mark, agent="irkit/")) == []
    assert irkit.json("incident", "list", "--local")["items"] == [], "a run that was refused leaves no incident behind"

    control_plane.apply(lease(pod, "eve@other-laptop", now - timedelta(minutes=2), seconds=1))
    time.sleep(2.1)  # by the server's clock, which is what counts; it writes whole seconds
    irkit.json("contain", "solo", "-n", namespace, "--yes")
    mine = control_plane.get("lease", f"irkit-{uid_of(pod)}", "-n", irkit_system)
    assert not mine["spec"].get("holderIdentity"), "given back at the end"


def test_a_colleague_goes_on_from_the_copy(control_plane: Running, namespace: str, irkit: Irkit, irkit_system: str, tmp_path: Path) -> None:
    suspect, _ = world.deployed(control_plane, namespace)
    before = control_plane.get("deployment", "web", "-n", namespace)["spec"]
    mark = control_plane.mark()
    kept = irkit.json("contain", name_of(suspect), "-n", namespace, "--yes")
    sent = [what(e) for e in writes(control_plane.audit(mark, agent="irkit/"))]
    assert sent.index("create leases") < sent.index("create networkpolicies"), "who holds the target is settled before anything changes"
    assert "create configmaps" in sent

    colleague = irkit.elsewhere(tmp_path / "colleague")
    assert colleague.json("incident", "list", "--local")["items"] == []
    assert kept["incident"] in [i["id"] for i in colleague.json("incident", "list")["items"]]
    resumed = colleague.json("resume", kept["incident"])
    assert (resumed["incident"], resumed["isolation"]["verdict"]) == (kept["incident"], "isolated")
    other = irkit.elsewhere(tmp_path / "another")
    assert other.json("lift", kept["incident"], "--pod", "return", "--yes")["outcome"] == "lifted"
    assert control_plane.get("deployment", "web", "-n", namespace)["spec"] == before
    assert uid_of(suspect) in {uid_of(p) for p in control_plane.pods(namespace, count=2)}
    assert control_plane.get("networkpolicies", "-n", namespace)["items"] == []
    irkit.elsewhere(tmp_path / "third").run("resume", "20261122T000000Z-web-nobody").ended(2)


def test_who_may_not_use_the_namespace_is_told_so(control_plane: Running, namespace: str, irkit: Irkit, irkit_system: str) -> None:
    control_plane.apply(world.bare("solo", namespace))
    control_plane.pods(namespace, count=1)
    printed = (
        irkit.run("playbook", "rbac", "compromised-pod", "-n", namespace).ended(0).stdout.replace("irkit-compromised-pod", f"irkit-{namespace[-6:]}")
    )
    responder = irkit.using(control_plane.user(printed).kubeconfig)
    examined = responder.run("doctor", "-n", namespace).ended(0).stdout
    assert f"hand-over   you may not create leases.coordination.k8s.io in {irkit_system}" in examined
    assert "hand-over   namespace irkit-system keeps who works on what" in irkit.run("doctor", "-n", namespace).ended(0).stdout
    answer = responder.run("contain", "solo", "-n", namespace, "--yes").ended(0)
    assert "nobody else can take this incident over: leases.coordination.k8s.io" in answer.stderr


def test_who_may_write_copies_and_not_read_the_key_can_not_forge_one(
    control_plane: Running, namespace: str, irkit: Irkit, irkit_system: str, tmp_path: Path
) -> None:
    """As a listener's account: ConfigMaps, and no right on the Secret. The API server is a real one."""
    control_plane.apply(world.bare("solo", namespace))
    control_plane.pods(namespace, count=1)
    irkit.run("doctor", "--create-signing-key", "--yes").ended(0)
    try:
        incident = irkit.json("contain", "solo", "-n", namespace, "--yes")["incident"]
        name = f"irkit-{incident.lower()}"
        genuine = control_plane.get("configmap", name, "-n", irkit_system)
        rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "get", "list", "patch", "update"]},
                 {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create", "get", "patch"]}]  # fmt: skip
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": f"listener-{namespace[-6:]}"},
                "rules": [*rules, {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}]}  # fmt: skip
        listener = control_plane.user(yaml.safe_dump(role))
        blind = irkit.elsewhere(tmp_path / "blind").using(listener.kubeconfig)
        assert "copies of incidents can't be checked" in blind.run("resume", incident).ended(4).stderr
        irkit.json("lift", incident, "--yes")
        base = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": irkit_system}}
        control_plane.apply({**base, "data": genuine["data"], "binaryData": genuine["binaryData"]})
        assert "was set back" in irkit.elsewhere(tmp_path / "second").run("resume", incident).ended(8).stderr
        forged = {**genuine["data"], "signature": "0" * 64}
        control_plane.apply({**base, "data": forged, "binaryData": genuine["binaryData"]})
        assert "is not signed with a key" in irkit.elsewhere(tmp_path / "third").run("resume", incident).ended(6).stderr
        (listed,) = [i for i in irkit.elsewhere(tmp_path / "third").json("incident", "list", "--all")["items"] if incident.lower() in i["id"].lower()]
        assert listed["status"].startswith("unreadable: the copy of incident")
    finally:
        control_plane.kubectl("delete", "secret", "irkit-signing", "-n", irkit_system)
