"""Label selectors as the real API server judges them, which has them from apimachinery: an oracle that is not ours."""

from __future__ import annotations

import itertools
import json

import pytest

from irkit.model.kube import Obj, selects
from tests.controlplane.running import Running

pytestmark = pytest.mark.controlplane

VALUES = (None, "", "a", "b")
LABELS: list[dict[str, str]] = [
    {k: v for k, v in (("app", app), ("tier", tier)) if v is not None} for app, tier in itertools.product(VALUES, repeat=2)]  # fmt: skip
REQUIREMENTS: list[tuple[str, Obj]] = [
    ("app=a", {"matchLabels": {"app": "a"}}),
    ("app=", {"matchLabels": {"app": ""}}),
    *(
        (f"app in ({','.join(v)})", {"matchExpressions": [{"key": "app", "operator": "In", "values": list(v)}]})
        for v in (("a",), ("a", "b"), ("", "b"))
    ),
    *((f"app notin ({','.join(v)})", {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": list(v)}]}) for v in (("a",), ("a", ""))),
    ("tier", {"matchExpressions": [{"key": "tier", "operator": "Exists"}]}),
    ("!tier", {"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}),
    ("tier notin (b)", {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["b"]}]}),
]


def both(one: tuple[str, Obj], two: tuple[str, Obj]) -> tuple[str, Obj]:
    """The selector that asks for both."""
    merged = {"matchLabels": {**one[1].get("matchLabels", {}), **two[1].get("matchLabels", {})},
              "matchExpressions": [*one[1].get("matchExpressions", []), *two[1].get("matchExpressions", [])]}  # fmt: skip
    return f"{one[0]},{two[0]}", merged


def test_the_api_server_selects_what_irkit_says(control_plane: Running, namespace: str):
    control_plane.apply(*({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{i}", "labels": {**labels, "test": "selectors"}}}
                          for i, labels in enumerate(LABELS)), namespace=namespace)  # fmt: skip
    pairs = [both(a, b) for a, b in itertools.combinations(REQUIREMENTS, 2) if not ("matchLabels" in a[1] and "matchLabels" in b[1])]
    for text, selector in [*REQUIREMENTS, *pairs[::3]]:
        found = control_plane.kubectl("get", "configmaps", "-n", namespace, "-l", f"{text},test=selectors", "-o", "json").stdout
        real = {o["metadata"]["name"] for o in json.loads(found)["items"]}
        assert real == {f"c{i}" for i, labels in enumerate(LABELS) if selects(selector, labels)}, text


POLICIES = [
    ({"podSelector": {}}, ["Ingress"]),
    ({"podSelector": {}, "egress": []}, ["Ingress"]),
    ({"podSelector": {}, "egress": [{}]}, ["Ingress", "Egress"]),
    ({"podSelector": {}, "policyTypes": ["Egress"]}, ["Egress"]),
]


def test_the_api_server_defaults_policy_types_as_irkit_does(control_plane: Running, namespace: str):
    from irkit.network.verdict import directions

    for number, (spec, types) in enumerate(POLICIES):
        policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": f"p{number}"}, "spec": spec}
        control_plane.apply(policy, namespace=namespace)
        real = control_plane.get("networkpolicy", f"p{number}", "-n", namespace)["spec"]["policyTypes"]
        assert real == types
        assert directions(policy) == tuple(t.lower() for t in real)


def test_the_deny_policy_comes_back_as_it_was_sent(control_plane: Running, namespace: str):
    """Its spec is compared with what the server returns, by the check `untampered` and before it is made again."""
    from irkit.network.deny import deny_policy
    from tests.workloads.world import incident, pod

    policy = deny_policy(incident(pod("x", namespace=namespace)))
    control_plane.apply(policy)
    assert control_plane.get("networkpolicy", "irkit-k7q2", "-n", namespace)["spec"] == policy["spec"]
