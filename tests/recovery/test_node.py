"""On a real node, which tells imageIDs: an image is found under whatever name it runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from irkit import checks
from irkit.adapters.kubernetes import connect
from irkit.model.image import running
from irkit.model.incident import Incident
from irkit.ports import Observed
from irkit.settings import Settings
from tests.controlplane.running import Running
from tests.controlplane.test_node import busybox
from tests.workloads.world import incident, ref

pytestmark = pytest.mark.node


def hunted(cluster: Any, opened: Incident, identity: str, name: str) -> checks.CheckResult:
    seen = Observed(cluster=cluster, now=datetime.now(UTC), settings=Settings())
    return checks.find("old-image", {"ids": [identity], "names": [name]}).judge(opened, opened.target.pod, seen)


def test_the_old_image_is_found_by_its_id_under_another_name(real_node: Running, node_namespace: str) -> None:
    suspect, other = busybox("suspect", "sleep 600"), busybox("other", "sleep 600")
    other["spec"]["containers"][0]["image"] = "localhost/pause:1"  # the same image by another name (node.py)
    real_node.apply(suspect, other, namespace=node_namespace)
    found = {p["metadata"]["name"]: p for p in real_node.pods(node_namespace, count=2)}
    (_, name, identity), (_, alias, same) = running(found["suspect"])[0], running(found["other"])[0]
    assert identity
    assert (name, alias, same) == ("localhost/busybox:1", "localhost/pause:1", identity)
    opened, cluster = (
        incident({**found["suspect"], "apiVersion": "v1", "kind": "Pod"}),
        connect(Settings(kubeconfig=str(real_node.admin_kubeconfig)), {}),
    )
    assert opened.target.pod.same(ref({**found["suspect"], "apiVersion": "v1", "kind": "Pod"}))
    result = hunted(cluster, opened, identity, name)
    assert result.holds is False
    assert f"Pod {node_namespace}/other" in result.data["pods"]
    assert f"Pod {node_namespace}/suspect" not in result.data["pods"], "the suspect itself is evidence"
    assert result.data["withoutImageID"] == 0
    real_node.kubectl("delete", "pod", "other", "-n", node_namespace, "--now", "--wait")
    assert f"Pod {node_namespace}/other" not in hunted(cluster, opened, identity, name).data["pods"]
