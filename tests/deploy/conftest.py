from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.controlplane import binaries
from tests.controlplane.running import running
from tests.deploy.chart import ACTOR, NAMESPACE, Chart, config_map, installed


@pytest.fixture(scope="session")
def chart() -> Iterator[Chart]:
    """The chart on a control plane of its own: other tests want one without namespace irkit-system."""
    try:
        binaries.find("kwok"), binaries.find("kube-apiserver")
    except binaries.NotBuilt as missing:
        pytest.skip(str(missing))
    people = {"approvers": {"groups": ["leads"]}, "responders": {"groups": ["oncall"]}}
    with running(nodes=1) as plane:
        plane.kubectl("create", "namespace", "shop")
        with installed(plane, values={**people, "namespaces": ["shop"]}) as found:
            plane.kubectl("wait", "--for=create", "serviceaccount/irkit-listener", "-n", NAMESPACE, "--timeout=20s")
            _enforced(found)
            yield found


def _enforced(chart: Chart, seconds: float = 30) -> None:
    """Policies take a moment from their creation until they are enforced: wait until the last of them is."""
    until = time.monotonic() + seconds
    while not chart.as_(ACTOR, "create", "--dry-run=server", "-f", "-", stdin=config_map("irkit-settings-2", {})).refused:
        assert time.monotonic() < until, "the admission policies are not enforced"
        time.sleep(0.2)
