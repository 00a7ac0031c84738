"""Single connections: the documented rules case by case, the app that the packet tests run, and the verdict as a judge of both."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from irkit.model.kube import Obj
from irkit.network.reach import Endpoint, flow
from tests.network.ends import DENY, FAR, OUTSIDE, A, B, end, lets_in, lets_out, pod, policy
from tests.node.app import DENY_ALL, MANIFESTS


def reaches(source: Endpoint, target: Endpoint, *policies: Obj, port: int = 80, protocol: Any = "TCP") -> bool:
    return flow(source, target, port, protocol, policies).allowed


def test_without_policies_everything_is_open():
    for one, other in ((end(A), end(B)), (end(A), OUTSIDE), (OUTSIDE, end(A)), (OUTSIDE, Endpoint(address="203.0.113.8"))):
        assert reaches(one, other)


def test_both_ends_must_allow_it():
    out = lets_out({}, podSelector={"matchLabels": {"app": "a"}})
    into = lets_in({}, podSelector={"matchLabels": {"app": "b"}})
    assert not reaches(end(A), end(B), DENY, out)
    assert not reaches(end(A), end(B), DENY, into)
    assert reaches(end(A), end(B), DENY, out, into)
    assert not reaches(end(B), end(A), DENY, out, into)


@pytest.mark.parametrize(("spec", "in_open", "out_open"), [
    ({}, False, True),  # no policyTypes: ingress
    ({"ingress": []}, False, True),
    ({"egress": []}, False, True),  # an empty list is no egress rule
    ({"egress": [{"to": [{"ipBlock": {"cidr": "198.51.100.0/24"}}]}]}, False, False),
    ({"policyTypes": ["Ingress"]}, False, True),
    ({"policyTypes": ["Egress"]}, True, False),
    ({"policyTypes": ["Egress"], "ingress": [{}]}, True, False),
    ({"policyTypes": ["Ingress", "Egress"]}, False, False),
    ({"policyTypes": ["Ingress", "Egress"], "ingress": [{}]}, True, False),
    ({"policyTypes": ["Ingress", "Egress"], "egress": [{}]}, False, True),
    ({"policyTypes": ["Ingress", "Egress"], "ingress": [{"from": [], "ports": []}], "egress": [{"to": None, "ports": None}]}, True, True),
])  # fmt: skip
def test_policy_types_and_empty_rules(spec, in_open, out_open):
    assert reaches(OUTSIDE, end(A), policy(**spec)) is in_open
    assert reaches(end(A), OUTSIDE, policy(**spec)) is out_open


@pytest.mark.parametrize(("peer", "source", "allowed"), [
    ({"podSelector": {}}, end(A), True),
    ({"podSelector": {}}, end(FAR), False),  # pods of the policy's own namespace only
    ({"podSelector": {}}, OUTSIDE, False),
    ({"podSelector": {"matchLabels": {"app": "a"}}}, end(A), True),
    ({"podSelector": {"matchLabels": {"app": "b"}}}, end(A), False),
    ({"namespaceSelector": {}}, end(FAR), True),
    ({"namespaceSelector": {}}, end(A), True),
    ({"namespaceSelector": {}}, OUTSIDE, False),
    ({"namespaceSelector": {"matchLabels": {"team": "x"}}}, end(FAR, team="x"), True),
    ({"namespaceSelector": {"matchLabels": {"team": "x"}}}, end(FAR, team="y"), False),
    ({"namespaceSelector": {"matchLabels": {"app": "a"}}}, end(FAR), False),  # the namespace's labels, not the pod's
    ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}, end(FAR), True),
    ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}, Endpoint(pod=FAR), True),
    ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}},
     end(FAR, **{"kubernetes.io/metadata.name": "default"}), False),  # nobody takes another namespace's name
    ({"namespaceSelector": {"matchLabels": {"name": "other"}}}, end(FAR), False),
    ({"namespaceSelector": {"matchLabels": {"team": "x"}}, "podSelector": {"matchLabels": {"app": "a"}}}, end(FAR, team="x"), True),
    ({"namespaceSelector": {"matchLabels": {"team": "x"}}, "podSelector": {"matchLabels": {"app": "a"}}}, end(FAR), False),
    ({"namespaceSelector": {"matchLabels": {"team": "x"}}, "podSelector": {"matchLabels": {"app": "z"}}}, end(FAR, team="x"), False),
    ({"ipBlock": {"cidr": "203.0.113.0/24"}}, OUTSIDE, True),
    ({"ipBlock": {"cidr": "203.0.113.200/24"}}, OUTSIDE, True),  # host bits are taken
    ({"ipBlock": {"cidr": "203.0.112.0/24"}}, OUTSIDE, False),
    ({"ipBlock": {"cidr": "0.0.0.0/0", "except": ["203.0.113.0/28"]}}, OUTSIDE, False),
    ({"ipBlock": {"cidr": "0.0.0.0/0", "except": ["198.51.100.0/24", "203.0.113.7/32"]}}, OUTSIDE, False),
    ({"ipBlock": {"cidr": "0.0.0.0/0", "except": ["203.0.113.8/32"]}}, OUTSIDE, True),
    ({"ipBlock": {"cidr": "0.0.0.0/0"}}, Endpoint(address="2001:db8::7"), False),
    ({"ipBlock": {"cidr": "2001:db8::/64"}}, Endpoint(address="2001:db8::7"), True),
    ({"ipBlock": {"cidr": "10.244.0.0/16"}}, end(A), True),  # the address of a pod
])  # fmt: skip
def test_peers(peer, source, allowed):
    assert reaches(source, end(B), lets_in({"from": [peer]})) is allowed
    assert reaches(end(B), source, lets_out({"to": [peer]}, podSelector={"matchLabels": {"app": "b"}})) is allowed


def test_peers_of_one_rule_add_up_and_so_do_rules_and_policies():
    team, app = {"namespaceSelector": {"matchLabels": {"team": "x"}}}, {"podSelector": {"matchLabels": {"app": "a"}}}
    block = {"ipBlock": {"cidr": "203.0.113.0/24"}}
    for policies in ([lets_in({"from": [team, app, block]})], [lets_in({"from": [team]}, {"from": [app]}, {"from": [block]})],
                     [lets_in({"from": [team]}), lets_in({"from": [app]}), lets_in({"from": [block]})]):  # fmt: skip
        assert [reaches(e, end(B), *policies) for e in (end(FAR, team="x"), end(A), OUTSIDE, end(FAR))] == [True, True, True, False]


def test_what_one_block_excepts_another_may_allow():
    all_but_one = {"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.7/32"]}}
    assert not reaches(OUTSIDE, end(B), lets_in({"from": [all_but_one]}))
    assert reaches(OUTSIDE, end(B), lets_in({"from": [all_but_one, {"ipBlock": {"cidr": "203.0.113.7/32"}}]}))


NAMED = pod("named", "10.244.2.3", nodeName="node-2", containers=[
    {"name": "one", "ports": [{"name": "web", "containerPort": 8080}]},
    {"name": "two", "ports": [{"name": "dns", "containerPort": 5353, "protocol": "UDP"}, {"containerPort": 9}]},
], initContainers=[
    {"name": "side", "restartPolicy": "Always", "ports": [{"name": "proxy", "containerPort": 15001}]},
    {"name": "init", "ports": [{"name": "once", "containerPort": 15002}]},
])  # fmt: skip


@pytest.mark.parametrize(("entry", "port", "protocol", "allowed"), [
    ({"port": 80}, 80, "TCP", True), ({"port": 80}, 81, "TCP", False), ({"port": 80}, 80, "UDP", False),
    ({"protocol": "UDP", "port": 53}, 53, "UDP", True), ({"protocol": "UDP", "port": 53}, 53, "TCP", False),
    ({"protocol": "SCTP"}, 5000, "SCTP", True), ({"protocol": "SCTP"}, 5000, "TCP", False), ({}, 5000, "TCP", True), ({}, 5000, "UDP", False),
    ({"port": 32000, "endPort": 32768}, 31999, "TCP", False), ({"port": 32000, "endPort": 32768}, 32000, "TCP", True),
    ({"port": 32000, "endPort": 32768}, 32768, "TCP", True), ({"port": 32000, "endPort": 32768}, 32769, "TCP", False),
    ({"port": 80, "endPort": 80}, 80, "TCP", True),
    ({"port": "web"}, 8080, "TCP", True), ({"port": "web"}, 80, "TCP", False), ({"port": "web"}, 8080, "UDP", False),
    ({"port": "web", "protocol": "UDP"}, 8080, "UDP", False),  # the container declares it for TCP
    ({"port": "dns", "protocol": "UDP"}, 5353, "UDP", True), ({"port": "dns"}, 5353, "TCP", False),
    ({"port": "proxy"}, 15001, "TCP", True), ({"port": "once"}, 15002, "TCP", False), ({"port": "none"}, 8080, "TCP", False),
])  # fmt: skip
def test_ports(entry, port, protocol, allowed):
    assert reaches(OUTSIDE, end(NAMED), lets_in({"ports": [entry]}), port=port, protocol=protocol) is allowed
    assert reaches(end(A), end(NAMED), lets_out({"ports": [entry]}), port=port, protocol=protocol) is allowed


def test_named_ports_are_the_targets_not_the_sources():
    web_out = lets_out({"ports": [{"port": "web"}]})
    assert not reaches(end(NAMED), end(A), web_out, port=8080)
    assert not reaches(end(NAMED), OUTSIDE, web_out, port=8080)
    assert not reaches(end(A), end({**NAMED, "spec": {**NAMED["spec"], "hostNetwork": True}}), web_out, port=8080)


def test_peers_and_ports_of_a_rule_must_both_match():
    rule = {"from": [{"podSelector": {"matchLabels": {"app": "a"}}}], "ports": [{"port": 80}, {"port": 443}]}
    assert reaches(end(A), end(B), lets_in(rule), port=443)
    assert not reaches(end(A), end(B), lets_in(rule), port=22)
    assert not reaches(end(FAR), end(B), lets_in(rule), port=443)
    assert not reaches(end(A), end(B), lets_in({"from": rule["from"], "ports": [{"port": 22}]}, {"ports": [{"port": 80}], "from": [{"podSelector": {
        "matchLabels": {"app": "z"}}}]}), port=80)  # fmt: skip


def test_policies_of_other_namespaces_hold_nobody():
    assert reaches(end(A), end(B), policy("deny", "other", policyTypes=["Ingress", "Egress"]))
    assert not reaches(end(A), end(FAR), policy("deny", "other", policyTypes=["Ingress", "Egress"]))


def test_the_host_network_is_not_held_and_no_selector_finds_it():
    host = pod("host", "10.0.0.13", labels={"app": "host"}, hostNetwork=True, nodeName="node-3")
    assert reaches(end(host), OUTSIDE, DENY)
    assert reaches(OUTSIDE, end(host), DENY)
    assert not reaches(end(host), end(A), DENY)
    assert not reaches(end(host), end(A), lets_in({"from": [{"podSelector": {}}, {"namespaceSelector": {}}]}))
    assert reaches(end(host), end(A), lets_in({"from": [{"ipBlock": {"cidr": "10.0.0.13/32"}}]}))
    assert reaches(end(host), end(A), lets_in({"from": []}))


def test_a_pod_reaches_itself_whatever_the_policies():
    for itself in (end(A), Endpoint(address="10.244.1.2"), Endpoint(address="127.0.0.1"), Endpoint(address="::1")):
        assert reaches(end(A), itself, DENY)
    successor = {**A, "metadata": {**A["metadata"], "uid": "another"}}
    assert not reaches(end(A), end(successor), DENY)
    assert not reaches(end(A), end({**A, "metadata": {**A["metadata"], "namespace": "other", "uid": None}}), DENY)


def test_a_pod_and_its_own_node_always_reach_each_other():
    agent = pod("agent", "10.0.0.11", "kube-system", hostNetwork=True)
    elsewhere = pod("agent", "10.0.0.12", "kube-system", hostNetwork=True, nodeName="node-2")
    assert "hostNetwork" not in A["spec"]
    for node in (Endpoint(address="10.0.0.11"), end(agent), Endpoint(pod=agent, address="192.168.7.1")):
        assert reaches(end(A), node, DENY)
        assert reaches(node, end(A), DENY)
    for stranger in (Endpoint(address="10.0.0.12"), end(elsewhere), end(pod("neighbour", "10.244.1.9"))):
        assert not reaches(end(A), stranger, DENY)
        assert not reaches(stranger, end(A), DENY)


def test_pods_that_no_node_has_are_not_neighbours_by_that():
    pending, host = pod("p", nodeName=None), pod("h", "10.0.0.14", hostNetwork=True, nodeName=None)
    assert not reaches(end(pending), end(host), DENY)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_reaches_nothing_and_nothing_reaches_it(phase):
    ended = {**A, "status": {**A["status"], "phase": phase}}
    for one, other in ((end(ended), end(B)), (OUTSIDE, end(ended)), (end(ended), end(ended))):
        found = flow(one, other, 80, "TCP", [])
        assert (found.allowed, found.why) == (False, f"default/a has ended ({phase})")


def test_who_has_no_address_reaches_nothing():
    pending = {**A, "status": {"phase": "Pending"}}
    assert flow(end(pending), OUTSIDE, 80, "TCP", []).why == "default/a has no address (yet)"
    assert reaches(Endpoint(pod=pending, address="10.244.1.77"), OUTSIDE)
    assert flow(Endpoint(), end(A), 80, "TCP", []).why == "one end has no address: its pod is gone"
    found = flow(end(A), Endpoint(address="evil\x1b[2J.example"), 80, "TCP", [])
    assert (found.allowed, found.why) == (False, "evil\\x1b[2J.example is not an IP address")


def test_the_given_address_is_the_one_that_counts():
    six = lets_in({"from": [{"ipBlock": {"cidr": "fd00::/8"}}]})
    assert not reaches(end(A), end(B), six)
    assert reaches(Endpoint(pod=A, address="fd00::2"), end(B), six)


def test_the_reason_names_policy_and_rule_at_each_end():
    out = policy("out", policyTypes=["Egress"], egress=[{"ports": [{"port": 1}]}, {}], podSelector={"matchLabels": {"app": "a"}})
    into = policy("in", policyTypes=["Ingress"], ingress=[{"from": [{"podSelector": {}}]}])
    assert flow(end(A), end(B), 80, "TCP", [DENY, out, into]).why == (
        "default/out, rule 1, allows the egress of default/a; default/in, rule 0, allows the ingress of default/b")  # fmt: skip
    assert flow(end(A), OUTSIDE, 80, "TCP", []).why == "no policy restricts the egress of default/a"
    assert flow(end(A), end(A), 80, "TCP", [DENY]).why == "default/a always reaches itself"
    assert flow(end(A), Endpoint(address="10.0.0.11"), 80, "TCP", [DENY]).why == "default/a and its own node always reach each other"
    assert "hostNetwork" in flow(end(pod(hostNetwork=True)), OUTSIDE, 80, "TCP", [DENY]).why
    assert flow(OUTSIDE, OUTSIDE, 80, "TCP", [DENY]).why == "neither end is a pod, and policies hold only pods"


def test_a_refusal_names_what_restricts():
    assert flow(end(A), OUTSIDE, 443, "TCP", [DENY, lets_in()]).why == (
        "no rule allows the egress of default/a to 203.0.113.7, TCP 443; restricted by default/deny")  # fmt: skip
    many = [policy(f"p{i}") for i in range(5)]
    assert flow(end(FAR), end(B), 53, "UDP", many).why == (
        "no rule allows the ingress of default/b from other/far, UDP 53; restricted by default/p0, default/p1, default/p2 and 2 more")  # fmt: skip


def test_what_strangers_wrote_is_escaped():
    evil = policy("\x1b[2J\n", "\u202e", policyTypes=["Ingress"], ingress=[{"ports": [{"port": 1}]}])
    target = pod("x\ny", namespace="\u202e")
    for port in (1, 2):
        assert flow(OUTSIDE, end(target), port, "TCP", [evil]).why.isprintable()


FIELDS = ["matchLabels", "matchExpressions", "key", "operator", "values", "from", "to", "ports", "port", "endPort", "protocol", "ipBlock", "cidr",
          "except", "podSelector", "namespaceSelector"]  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["app", "In", "NotIn", "10.0.0.0/8", "Ingress", "web"])
JUNK = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3), max_leaves=8)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(["podSelector", "policyTypes", "ingress", "egress"], JUNK)))
def test_nothing_malformed_raises(spec):
    for one, other in ((end(A), end(NAMED)), (OUTSIDE, end(A)), (end(A), OUTSIDE)):
        found = flow(one, other, 80, "TCP", [{"metadata": {"name": "p", "namespace": "default"}, "spec": spec}])
        assert found.why.isprintable()


@pytest.mark.parametrize("rule", [
    None, "x", {"from": "x"}, {"from": [None]}, {"from": [{}]}, {"from": [{"ipBlock": {"cidr": "nowhere"}}]}, {"from": [{"ipBlock": 7}]},
    {"from": [{"podSelector": 7}]}, {"from": [{"podSelector": {"matchLabels": "x"}}]},
    {"from": [{"podSelector": {"matchExpressions": [{"key": "app", "operator": "Near"}]}}]},
    {"ports": [None]}, {"ports": [{"port": [80]}]}, {"ports": [{"port": 80, "endPort": "x"}]},
    {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["nowhere"]}}]},
])  # fmt: skip
def test_what_no_server_would_take_is_taken_as_open(rule):
    assert reaches(end(A), end(B), lets_in(rule))


def test_a_policy_with_a_malformed_selector_still_holds_the_pod():
    for selector in ("x", 7, {"matchLabels": "x"}, {"matchExpressions": 7}, {"matchExpressions": [None]}):
        assert not reaches(OUTSIDE, end(A), policy(podSelector=selector))


# The app of the packet tests in tests/node/test_packets.py; SEEN is what they see on a real node.


def todo_app() -> tuple[dict[str, Endpoint], list[Obj]]:
    found = list(yaml.safe_load_all(MANIFESTS.read_text()))
    templates = {o["metadata"]["name"]: o["spec"]["template"] for o in found if o["kind"] in ("Deployment", "StatefulSet")}
    ends = {}
    for number, (name, template) in enumerate(templates.items(), 2):
        spec = {**template["spec"], "nodeName": f"node-{number}"}
        running = pod(name, f"10.244.1.{number}", "todo-app", template["metadata"]["labels"], **spec)
        running["status"] |= {"hostIP": f"10.0.0.{number}", "hostIPs": []}
        ends[name] = end(running)
    return {**ends, "outside": OUTSIDE}, [o for o in found if o["kind"] == "NetworkPolicy"]


SEEN = [
    ("frontend", "backend", 8000, True), ("backend", "postgres", 5432, True), ("backend", "outside", 443, True),
    ("frontend", "postgres", 5432, False), ("frontend", "outside", 443, False),
]  # fmt: skip


def labelled(found: Endpoint, labels: dict[str, str]) -> Endpoint:
    assert found.pod is not None
    return end({**found.pod, "metadata": {**found.pod["metadata"], "labels": labels}})


def quarantine() -> Obj:
    documented: Obj = yaml.safe_load(DENY_ALL)
    documented["metadata"]["namespace"] = "todo-app"
    return documented


@pytest.mark.parametrize(("source", "target", "port", "allowed"), [
    *SEEN,
    ("backend", "mcp-server", 8001, True),
    ("postgres", "outside", 443, False),  # its own policy is of ingress only, but default-deny-all is of both
])  # fmt: skip
def test_the_app_talks_as_its_policies_say(source, target, port, allowed):
    ends, policies = todo_app()
    assert reaches(ends[source], ends[target], *policies, port=port) is allowed


def test_the_documented_quarantine_cuts_nothing_until_the_other_labels_are_gone():
    ends, policies = todo_app()
    for labels, seen in (({"app": "backend", "quarantine": "true"}, True), ({"quarantine": "true"}, False)):
        suspect = labelled(ends["backend"], labels)
        assert reaches(suspect, ends["postgres"], *policies, quarantine(), port=5432) is seen
        assert reaches(suspect, OUTSIDE, *policies, quarantine(), port=443) is seen
        assert reaches(ends["frontend"], suspect, *policies, quarantine(), port=8000) is seen


def test_a_hundred_connections_a_second_among_fifty_policies_cost_next_to_nothing():
    """Of processor time, at the worst: all fifty select both pods, and only the last rule of the last one allows it."""
    unlike = [{"from": [{"podSelector": {"matchLabels": {"app": "z"}}}, {"ipBlock": {"cidr": f"192.0.2.{i}/32"}}]} for i in range(2)]
    fifty = [policy(f"p{i}", policyTypes=["Ingress"], ingress=unlike) for i in range(49)] + [lets_in(*unlike, {"from": [{"podSelector": {}}]})]
    began = time.process_time()
    for _ in range(100):
        assert reaches(end(A), end(B), *fifty)
    assert time.process_time() - began < 1
