"""What an API server refuses of autoscalers and of disruption budgets, in its words."""

from __future__ import annotations

import pytest

from irkit.model import kube
from irkit.model.kube import Resource
from tests.contracts.client import Obj
from tests.contracts.conftest import Cluster

TARGET = {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"}
CHOSEN = {"matchLabels": {"app": "web"}}
PERCENT = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
NO_GROUP = 'spec.scaleTargetRef.apiVersion: Invalid value: "": apiVersion must specify API group'
LEAST = "must specify at least one Object or External metric to support scaling to zero replicas"
BOTH = '{"MinAvailable":1,"Selector":{"matchLabels":{"app":"web"}},"MaxUnavailable":1,"UnhealthyPodEvictionPolicy":null}'


def answer(cluster: Cluster, resource: Resource, spec: Obj) -> tuple[int, list[str]]:
    reply = cluster.admin.send("POST", cluster.path(resource), {"metadata": {"name": "a"}, "spec": spec})
    causes = (reply.json.get("details") or {}).get("causes") or ()
    return reply.status, [f"{cause['field']}: {cause['message']}" for cause in causes]


@pytest.mark.parametrize(("spec", "said"), [
    ({}, ["spec.maxReplicas: Invalid value: 0: must be greater than 0",
          "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
          "spec.scaleTargetRef.kind: Required value", "spec.scaleTargetRef.name: Required value", NO_GROUP]),
    ({"minReplicas": 0, "maxReplicas": 3, "scaleTargetRef": TARGET},
     ["spec.minReplicas: Invalid value: 0: must be greater than or equal to 1", f"spec.metrics: Forbidden: {LEAST}"]),
    ({"minReplicas": 5, "maxReplicas": 3, "scaleTargetRef": TARGET},
     ["spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`"]),
    ({"maxReplicas": 3, "scaleTargetRef": {"kind": "A/b", "name": "x/y"}},
     ['spec.scaleTargetRef.kind: Invalid value: "A/b": may not contain \'/\'',
      'spec.scaleTargetRef.name: Invalid value: "x/y": may not contain \'/\'',
      NO_GROUP]),
])  # fmt: skip
def test_an_autoscaler_that_can_t_be(cluster: Cluster, spec: Obj, said: list[str]) -> None:
    assert answer(cluster, kube.HPAS, spec) == (422, said)


@pytest.mark.parametrize("most", ["3", 2.5, True, 2**40])
def test_a_number_of_replicas_that_is_none(cluster: Cluster, most: object) -> None:
    assert answer(cluster, kube.HPAS, {"maxReplicas": most, "scaleTargetRef": TARGET}) == (400, [])


@pytest.mark.parametrize(("spec", "said"), [
    ({"minAvailable": 1, "maxUnavailable": 1}, f"spec: Invalid value: {BOTH}: minAvailable and maxUnavailable cannot be both set"),
    ({"minAvailable": -1}, "spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"),
    ({"minAvailable": "5"}, f'spec.minAvailable: Invalid value: "5": {PERCENT}'),
    ({"maxUnavailable": "101%"}, 'spec.maxUnavailable: Invalid value: "101%": must not be greater than 100%'),
])  # fmt: skip
def test_a_budget_that_can_t_be(cluster: Cluster, spec: Obj, said: str) -> None:
    assert answer(cluster, kube.PDBS, {**spec, "selector": CHOSEN}) == (422, [said])


def test_a_budget_without_a_number_and_one_of_everything_can_be(cluster: Cluster) -> None:
    assert answer(cluster, kube.PDBS, {}) == (201, [])
    cluster.admin.send("DELETE", cluster.path(kube.PDBS, "a"))
    assert answer(cluster, kube.PDBS, {"maxUnavailable": "100%", "selector": {}}) == (201, [])
