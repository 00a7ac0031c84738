"""The verdict against the examples of the Kubernetes documentation, case by case."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from irkit.model.kube import Obj
from irkit.network.cni import Cni
from irkit.network.verdict import Isolation, directions, explain, isolation, judge, line, selecting, sentence
from irkit.network.words import peers, ports, selector

CALICO = Cni(name="Calico", enforces="enforced", connections="open")


def pod(labels: dict[str, str] | None = None, namespace: str = "default", **spec: Any) -> Obj:
    return {"metadata": {"name": "suspect", "namespace": namespace, "labels": labels or {}}, "spec": spec}


def policy(name: str = "p", namespace: str = "default", **spec: Any) -> Obj:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"podSelector": {}, **spec}}


DENY = policy("deny", policyTypes=["Ingress", "Egress"])


def told(found: Obj, *policies: Obj) -> list[tuple[str | None, str, int | None, str, str]]:
    return [(k.policy, k.direction, k.rule, k.peer, k.ports) for k in judge(found, policies)]


OPEN_IN, OPEN_OUT = (None, "ingress", None, "any address", "all ports"), (None, "egress", None, "any address", "all ports")


def test_without_policies_both_directions_are_open():
    assert told(pod()) == [OPEN_IN, OPEN_OUT]


def test_a_deny_all_and_nothing_else_isolates():
    assert told(pod({"app": "db"}), DENY) == []


@pytest.mark.parametrize(("spec", "left"), [
    ({"policyTypes": ["Ingress"]}, [OPEN_OUT]),  # default-deny-ingress
    ({"policyTypes": ["Egress"]}, [OPEN_IN]),  # default-deny-egress
    ({"policyTypes": ["Ingress"], "ingress": [{}]}, [OPEN_OUT, ("default/p", "ingress", 0, "any address", "all ports")]),  # allow-all-ingress
    ({"policyTypes": ["Egress"], "egress": [{}]}, [OPEN_IN, ("default/p", "egress", 0, "any address", "all ports")]),  # allow-all-egress
    ({}, [OPEN_OUT]),  # no policyTypes: ingress
    ({"ingress": []}, [OPEN_OUT]),
    ({"policyTypes": [], "egress": []}, [OPEN_OUT]),  # SetDefaults_NetworkPolicy: egress only where it has rules
    ({"egress": [{}]}, [("default/p", "egress", 0, "any address", "all ports")]),  # no policyTypes, but egress rules: both
    ({"policyTypes": ["Ingress"], "egress": [{}]}, [OPEN_OUT]),  # rules of a direction that is not restricted are none
    ({"policyTypes": None, "ingress": None, "egress": None}, [OPEN_OUT]),
])  # fmt: skip
def test_policy_types_and_rules(spec, left):
    assert told(pod(), policy(**spec)) == left


def test_the_documented_example_names_each_rule():
    """The policy of https://kubernetes.io/docs/concepts/services-networking/network-policies/#networkpolicy-resource."""
    example = policy(
        "test-network-policy",
        podSelector={"matchLabels": {"role": "db"}},
        policyTypes=["Ingress", "Egress"],
        ingress=[{"from": [{"ipBlock": {"cidr": "172.17.0.0/16", "except": ["172.17.1.0/24"]}},
                           {"namespaceSelector": {"matchLabels": {"project": "myproject"}}},
                           {"podSelector": {"matchLabels": {"role": "frontend"}}}],
                  "ports": [{"protocol": "TCP", "port": 6379}]}],
        egress=[{"to": [{"ipBlock": {"cidr": "10.0.0.0/24"}}], "ports": [{"protocol": "TCP", "port": 5978}]}],
    )  # fmt: skip
    sources = "172.17.0.0/16 except 172.17.1.0/24, namespaces project=myproject, pods role=frontend"
    assert told(pod({"role": "db"}), example) == [
        ("default/test-network-policy", "ingress", 0, sources, "TCP 6379"),
        ("default/test-network-policy", "egress", 0, "10.0.0.0/24", "TCP 5978"),
    ]
    assert told(pod({"role": "web"}), example) == [OPEN_IN, OPEN_OUT]


def test_the_documented_quarantine_leaks_what_the_apps_own_policy_allows():
    allowed = [{"to": [{"podSelector": {"matchLabels": {"app": "postgres"}}}], "ports": [{"port": 5432}]}, {"ports": [{"port": 443}]}]
    own = policy("backend-network-policy", podSelector={"matchLabels": {"app": "backend"}}, policyTypes=["Ingress", "Egress"], egress=allowed)
    documented = policy("quarantine", podSelector={"matchLabels": {"quarantine": "true"}}, policyTypes=["Ingress", "Egress"])
    both = pod({"app": "backend", "quarantine": "true"})
    assert told(both, own, documented) == [
        ("default/backend-network-policy", "egress", 0, "pods app=postgres", "TCP 5432"),
        ("default/backend-network-policy", "egress", 1, "any address", "TCP 443"),
    ]
    assert told(pod({"quarantine": "true"}), own, documented) == []


@pytest.mark.parametrize(("expressions", "labels", "chosen"), [
    ([("tier", "NotIn", ["frontend"])], {}, True),  # also what lacks the label
    ([("tier", "NotIn", ["frontend"])], {"tier": "frontend"}, False),
    ([("tier", "NotIn", ["frontend"])], {"tier": "backend"}, True),
    ([("tier", "In", ["frontend", "backend"])], {"tier": "backend"}, True),
    ([("tier", "In", ["frontend"])], {}, False),
    ([("tier", "Exists", None)], {"tier": ""}, True),
    ([("tier", "Exists", None)], {}, False),
    ([("tier", "DoesNotExist", None)], {}, True),
    ([("tier", "DoesNotExist", None)], {"tier": "x"}, False),
    ([("a", "Exists", None), ("b", "DoesNotExist", None)], {"a": "1"}, True),
    ([("a", "Exists", None), ("b", "DoesNotExist", None)], {"a": "1", "b": "1"}, False),
])  # fmt: skip
def test_match_expressions(expressions, labels, chosen):
    chooses = {"matchExpressions": [{"key": k, "operator": o} | ({"values": v} if v else {}) for k, o, v in expressions]}
    allows = policy(podSelector=chooses, policyTypes=["Egress"], egress=[{}])
    assert bool(selecting(pod(labels), [allows])) is chosen
    assert (("default/p", "egress", 0, "any address", "all ports") in told(pod(labels), DENY, allows)) is chosen


def test_an_unknown_operator_never_hides_a_policy():
    odd = policy(podSelector={"matchExpressions": [{"key": "a", "operator": "Near"}]}, policyTypes=["Egress"], egress=[{}])
    assert selecting(pod(), [odd]) == (odd,)


def test_labels_and_expressions_must_both_hold():
    both = policy(podSelector={"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]})
    assert not selecting(pod({"app": "web"}), [both])
    assert not selecting(pod({"tier": "1"}), [both])
    assert selecting(pod({"app": "web", "tier": "1"}), [both]) == (both,)


def test_policies_of_other_namespaces_count_for_nothing():
    assert told(pod(), policy("deny", "elsewhere", policyTypes=["Ingress", "Egress"])) == [OPEN_IN, OPEN_OUT]


def test_an_absent_pod_selector_selects_every_pod():
    bare: Obj = {"metadata": {"name": "p", "namespace": "default"}, "spec": {"policyTypes": ["Ingress", "Egress"]}}
    assert told(pod({"any": "thing"}), bare) == []


def test_the_host_network_is_never_isolated():
    (one, two) = judge(pod(hostNetwork=True), [DENY])
    assert [one.direction, two.direction] == ["ingress", "egress"]
    assert one.policy is two.policy is None
    assert "hostNetwork" in one.why


@pytest.mark.parametrize(("selects_by", "why"), [
    ({}, "its empty selector matches every pod of the namespace"),
    ({"matchLabels": {"app": "web"}}, "its selector `app=web` matches the pod's labels"),
    ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["db"]}]},
     "its selector `tier NotIn (db)` also matches a pod without the label tier"),
    ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]},
     "its selector `tier DoesNotExist` also matches a pod without the label tier"),
])  # fmt: skip
def test_a_leak_says_why_the_policy_selects_the_pod(selects_by, why):
    (leak,) = judge(pod({"app": "web"}), [DENY, policy(podSelector=selects_by, policyTypes=["Egress"], egress=[{}])])
    assert leak.why == why


@pytest.mark.parametrize(("entries", "text"), [
    (None, "any address"), ([], "any address"), ([{}], "any address"),
    ([{"ipBlock": {"cidr": "0.0.0.0/0"}}], "0.0.0.0/0"),
    ([{"ipBlock": {"cidr": "fd00::/8", "except": ["fd00::/16", "fd01::/16"]}}], "fd00::/8 except fd00::/16, fd01::/16"),
    ([{"namespaceSelector": {}}], "every namespace"),
    ([{"podSelector": {}}], "every pod of its namespace"),
    ([{"namespaceSelector": {}, "podSelector": {}}], "every pod in every namespace"),
    ([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}], "namespace monitoring"),
    ([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
       "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}],
     "pods k8s-app=kube-dns in namespace kube-system"),
    ([{"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["a", "b"]}]}}], "namespaces team In (a, b)"),
    ([{"podSelector": {"matchLabels": {"a": "1"}}}] * 8, ", ".join(["pods a=1"] * 6) + " and 2 more"),
])  # fmt: skip
def test_peers_in_words(entries, text):
    assert peers(entries) == text


@pytest.mark.parametrize(("entries", "text"), [
    (None, "all ports"), ([], "all ports"), ([{"port": 9090}], "TCP 9090"), ([{"protocol": "UDP", "port": 53}], "UDP 53"),
    ([{"port": "metrics"}], "TCP metrics"), ([{"port": 32000, "endPort": 32768}], "TCP 32000-32768"), ([{"protocol": "SCTP"}], "SCTP all ports"),
    ([{"port": 80}, {"port": 443}], "TCP 80, TCP 443"),
])  # fmt: skip
def test_ports_in_words(entries, text):
    assert ports(entries) == text


def test_what_strangers_wrote_is_escaped():
    evil = policy("\x1b[2Jx", podSelector={"matchLabels": {"a": "\u202egnp\n"}}, policyTypes=["Egress"],
                  egress=[{"to": [{"ipBlock": {"cidr": "\x1b]0;x\x07"}}], "ports": [{"port": "a\nb"}]}])  # fmt: skip
    (leak,) = judge(pod({"a": "\u202egnp\n"}), [DENY, evil])
    text = line(leak) + leak.why
    assert text.isprintable()
    assert selector({"matchLabels": {"k": "v\n"}}).isprintable()


def test_explain_tells_of_every_policy_of_the_namespace():
    other = policy("other", podSelector={"matchLabels": {"app": "db"}}, egress=[{}])
    found = explain(pod({"app": "web"}), [DENY, other, policy("far", "elsewhere")])
    assert [(e.policy, e.selects, e.directions, e.rules) for e in found] == [
        ("default/deny", True, ("ingress", "egress"), (0, 0)),
        ("default/other", False, ("ingress", "egress"), (0, 1)),
    ]
    assert found[1].why == "its selector `app=db` does not match the pod's labels"


def test_directions_keep_their_order_whatever_the_policy_says():
    assert directions(policy(policyTypes=["Egress", "Ingress"])) == ("ingress", "egress")


def test_the_isolation_of_a_pod_that_is_gone():
    found = isolation(None, [DENY], CALICO)
    assert (found.verdict, found.leaks, found.holds) == ("gone", (), True)
    assert sentence(found).startswith("gone")


@pytest.mark.parametrize(("enforces", "holds"), [("enforced", True), ("unknown", True), ("none", False)])
def test_only_a_plugin_that_is_known_not_to_enforce_undoes_the_verdict(enforces, holds):
    found = isolation(pod(), [DENY], Cni(name="x", enforces=enforces))
    assert (found.verdict, found.enforcement, found.holds) == ("isolated", enforces, holds)


def test_a_leak_does_not_hold_whatever_the_plugin():
    found = isolation(pod(), [], CALICO)
    assert (found.verdict, found.holds) == ("leaks", False)
    assert sentence(found) == "LEAKS: ingress open, egress open; enforced by Calico; open connections: not cut by Calico"


def test_sentences():
    assert sentence(isolation(pod(), [DENY], CALICO)) == (
        "isolated by policy in both directions; enforced by Calico; open connections: not cut by Calico")  # fmt: skip
    one = policy(policyTypes=["Egress"], egress=[{}])
    assert sentence(isolation(pod(), [DENY, one], CALICO)).startswith("LEAKS: 1 rule of 1 policy lets traffic through;")
    two = policy("q", policyTypes=["Egress"], egress=[{}, {}])
    assert sentence(isolation(pod(), [DENY, one, two], CALICO)).startswith("LEAKS: 3 rules of 2 policies let traffic through;")


def test_a_static_pod_is_noted():
    static = pod()
    static["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    assert "static pod" in isolation(static, [DENY], CALICO).notes[0]


def test_the_contract_names_of_a_leak_are_all_there_in_json():
    found = msgspec.to_builtins(isolation(pod(), [], CALICO))
    assert {"verdict", "enforcement", "leaks", "connections"} <= found.keys()
    assert all(leak.keys() == {"policy", "direction", "rule", "peer", "ports", "why"} for leak in found["leaks"])
    assert msgspec.convert(found, Isolation) == isolation(pod(), [], CALICO)
