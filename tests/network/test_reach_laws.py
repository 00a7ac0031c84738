"""Laws of single connections: the verdict over the pod and they say the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from irkit.model.kube import Obj
from irkit.network.reach import Endpoint, flow
from irkit.network.verdict import judge
from tests.network.ends import DENY, OUTSIDE, end, pod, policy
from tests.network.test_laws import labels as some_labels
from tests.network.test_laws import selectors

PORTS, PROTOCOLS = (80, 443, 8080), ("TCP", "UDP")
peers = st.one_of(
    st.fixed_dictionaries({"podSelector": selectors}), st.fixed_dictionaries({"namespaceSelector": selectors}),
    st.fixed_dictionaries({"podSelector": selectors, "namespaceSelector": selectors}),
    st.sampled_from(["0.0.0.0/0", "10.244.0.0/16", "203.0.113.0/24"]).map(lambda cidr: {"ipBlock": {"cidr": cidr, "except": ["10.244.2.0/24"]}}),
)  # fmt: skip
ports = st.fixed_dictionaries({}, optional={"port": st.sampled_from([*PORTS, "web"]), "protocol": st.sampled_from(PROTOCOLS)})


def rules(to_or_from: str) -> st.SearchStrategy[Obj]:
    return st.fixed_dictionaries({}, optional={to_or_from: st.lists(peers, max_size=2), "ports": st.lists(ports, max_size=2)})


policies = st.builds(lambda name, where, spec: policy(name, where, **spec), st.sampled_from("pqrs"), st.sampled_from(["default", "default", "other"]),
    st.fixed_dictionaries({"podSelector": selectors}, optional={
        "policyTypes": st.lists(st.sampled_from(["Ingress", "Egress"]), unique=True),
        "ingress": st.lists(rules("from"), max_size=2), "egress": st.lists(rules("to"), max_size=2)}))  # fmt: skip
suspects = st.builds(lambda labels, host: pod("suspect", labels=labels, hostNetwork=host), some_labels, st.sampled_from([False] * 3 + [True]))
WEB = [{"name": "c", "ports": [{"name": "web", "containerPort": 8080}]}]
others = st.one_of(
    st.builds(lambda labels, where, spaces, host: end(pod("peer", "10.244.2.5", where, labels, nodeName="node-2", containers=WEB, hostNetwork=host),
                                                      **spaces),
              some_labels, st.sampled_from(["default", "other"]), some_labels, st.booleans()),
    st.sampled_from(["203.0.113.7", "10.244.2.9", "2001:db8::1"]).map(lambda address: Endpoint(address=address)),
)  # fmt: skip
mostly_denied = st.lists(policies, max_size=4).flatmap(lambda found: st.sampled_from([found, [DENY, *found]]))


@given(suspects, mostly_denied, others, st.sampled_from(PORTS), st.sampled_from(PROTOCOLS))
def test_what_the_verdict_calls_closed_lets_no_connection_through(suspect, there, other, port, protocol):
    leaks = judge(suspect, there)
    for direction, one, two in (("egress", end(suspect), other), ("ingress", other, end(suspect))):
        found = flow(one, two, port, protocol, there)
        mine = [leak for leak in leaks if leak.direction == direction]
        assert mine or not found.allowed
        if found.allowed and not any(leak.policy is None for leak in mine):
            assert any(f"{leak.policy}, rule {leak.rule}, allows the {direction} of default/suspect" in found.why for leak in mine)


@given(suspects, mostly_denied, st.sampled_from(PORTS), st.sampled_from(PROTOCOLS))
def test_what_the_verdict_calls_open_by_no_policy_lets_every_connection_through(suspect, there, port, protocol):
    for leak in judge(suspect, there):
        one, two = (end(suspect), OUTSIDE) if leak.direction == "egress" else (OUTSIDE, end(suspect))
        if leak.policy is None:
            assert flow(one, two, port, protocol, there).allowed


@given(suspects, mostly_denied, policies, others, st.sampled_from(PORTS))
def test_one_policy_more_never_cuts_where_policies_restrict_already(suspect, there, more, other, port):
    for one, two in ((end(suspect), other), (other, end(suspect))):
        everywhere = [policy("deny", where, policyTypes=["Ingress", "Egress"]) for where in ("default", "other")]
        assert flow(one, two, port, "TCP", [*everywhere, *there]).allowed <= flow(one, two, port, "TCP", [*everywhere, *there, more]).allowed
