"""Sources and ages by objects as the real External Secrets Operator, cert-manager and API server write them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from irkit.adapters.kubernetes import connect
from irkit.credentials import of_pods
from irkit.model.credential import Finding
from irkit.settings import Settings
from tests.components import synced
from tests.controlplane.running import Running

if TYPE_CHECKING:
    from tests.components.openbao import OpenBao

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]


def look(plane: Running, namespace: str, pod: str) -> dict[str, Finding]:
    cluster = connect(Settings(kubeconfig=str(plane.admin_kubeconfig)), {})
    try:
        found = of_pods([plane.get("pod", pod, "-n", namespace)], cluster, Settings(), datetime.now(UTC))
        return {f.credential.ref.name: f for f in found}
    finally:
        cluster.close()


def test_what_the_real_controllers_write(
    control_plane: Running, namespace: str, external_secrets: Path, cert_manager: Path, openbao: OpenBao
) -> None:
    mount = openbao.kv(version=2)
    openbao.put(mount, "shop/app", {"password": "canary-one", "key": "canary-two"})
    whole = synced.external_secret("whole", {}, dataFrom=[{"extract": {"key": "shop/app"}}])
    named = synced.external_secret("named", {"DB": ("shop/app", "password")})
    control_plane.apply(*synced.store(openbao, mount), named, whole, *synced.self_signed_ca(), synced.certificate("leaf"), namespace=namespace)
    for name in ("named", "whole", "leaf"):
        synced.eventually(partial(synced.secret, control_plane, namespace, name), 60)
    volumes = [{"name": n, "secret": {"secretName": n}} for n in ("named", "whole", "leaf")]
    spec = {"containers": [{"name": "app", "image": "localhost/app:1"}], "volumes": volumes}
    control_plane.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec}, namespace=namespace)
    control_plane.pods(namespace, count=1)
    found = look(control_plane, namespace, "web")
    assert set(found) == {"named", "whole", "leaf", "default"}
    source = found["named"].credential.source
    assert (source.kind, source.mount, source.path, source.properties, source.version) == (
        "external-secret",
        mount,
        "shop/app",
        {"DB": "password"},
        "v2",
    )
    assert source.server == openbao.address
    assert (found["whole"].credential.source.whole, found["whole"].credential.keys) == (True, ("key", "password"))
    leaf = found["leaf"]
    assert (leaf.credential.cls, leaf.credential.source.issuer, leaf.age_from) == ("certificate", "Issuer ca", "Certificate status.notBefore")
    assert leaf.expires is not None
    assert 80 < leaf.expires < 91  # cert-manager's 90 days
    assert all(f.age is not None and -0.01 < f.age < 0.1 for f in found.values())
    assert found["named"].age_from.startswith("managedFields: last write of ")
    assert {r.how for r in found["default"].reasons} == {"token"}
    assert "projected" in found["default"].reasons[0].path
