"""What holds of every verdict, against an oracle that knows nothing but the words of the API reference."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from irkit.model.kube import selects
from irkit.network.verdict import judge, selecting

KEYS, VALUES = ("app", "tier"), ("a", "b")
EVERY_LABELS = [{k: v for k, v in zip(KEYS, values, strict=True) if v is not None} for values in itertools.product((None, *VALUES), repeat=len(KEYS))]

requirements = st.one_of(
    st.builds(lambda k, o, v: {"key": k, "operator": o, "values": v},
              st.sampled_from(KEYS), st.sampled_from(["In", "NotIn"]), st.lists(st.sampled_from(VALUES), min_size=1, unique=True)),
    st.builds(lambda k, o: {"key": k, "operator": o}, st.sampled_from(KEYS), st.sampled_from(["Exists", "DoesNotExist"])),
)  # fmt: skip
selectors = st.fixed_dictionaries({}, optional={
    "matchLabels": st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES)),
    "matchExpressions": st.lists(requirements, max_size=3),
})  # fmt: skip
labels = st.sampled_from(EVERY_LABELS)
rules = st.sampled_from([{}, {"ports": [{"port": 80}]}, {"to": [{"podSelector": {}}]}, {"from": [{"namespaceSelector": {}}]}])
specs = st.fixed_dictionaries({"podSelector": selectors}, optional={
    "policyTypes": st.lists(st.sampled_from(["Ingress", "Egress"]), unique=True),
    "ingress": st.lists(rules, max_size=2), "egress": st.lists(rules, max_size=2),
})  # fmt: skip
policies = st.builds(lambda n, s: {"metadata": {"name": f"p{n}", "namespace": "default"}, "spec": s}, st.integers(0, 99), specs)
DENY = {"metadata": {"name": "deny", "namespace": "default"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}}


def pod(labels):
    return {"metadata": {"name": "suspect", "namespace": "default", "labels": labels}, "spec": {}}


def chosen(selector):
    """The label sets that a selector leaves, each requirement crossing out of all there are what it does not want."""
    left = EVERY_LABELS
    for key, value in selector.get("matchLabels", {}).items():
        left = [c for c in left if (key, value) in c.items()]
    for r in selector.get("matchExpressions", []):
        having = [c for c in left if r["key"] in c]
        if r["operator"] == "In":
            left = [c for c in having if any(c[r["key"]] == v for v in r["values"])]
        elif r["operator"] == "NotIn":
            left = [c for c in left if c not in having or all(c[r["key"]] != v for v in r["values"])]
        elif r["operator"] == "Exists":
            left = having
        else:
            left = [c for c in left if c not in having]
    return left


@given(selectors)
def test_selectors_choose_what_the_oracle_leaves(selector):
    assert [c for c in EVERY_LABELS if selects(selector, c)] == chosen(selector)


@given(labels, st.lists(policies, max_size=6))
def test_every_rule_of_a_selecting_policy_in_a_restricted_direction_is_a_leak_and_nothing_else(labels, there):
    expected: set[tuple[str | None, str, int | None]] = set()
    covered: set[str] = set()
    for index, policy in enumerate(there):
        policy["metadata"]["name"] = f"p{index}"
        spec = policy["spec"]
        types = spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
        if labels in chosen(spec["podSelector"]):
            covered |= {t.lower() for t in types}
            expected |= {(f"default/p{index}", t.lower(), i) for t in types for i in range(len(spec.get(t.lower(), [])))}
    expected |= {(None, d, None) for d in ("ingress", "egress") if d not in covered}
    found = [(k.policy, k.direction, k.rule) for k in judge(pod(labels), there)]
    assert set(found) == expected
    assert len(found) == len(expected)


@given(labels, st.lists(policies, max_size=5), policies)
def test_one_policy_more_never_closes_what_another_allows(labels, there, more):
    before, after = judge(pod(labels), [DENY, *there]), judge(pod(labels), [DENY, *there, more])
    assert set(before) <= set(after)


@given(labels, st.lists(policies, max_size=5), st.randoms())
def test_the_order_of_policies_does_not_matter(labels, there, random):
    shuffled = random.sample(there, len(there))
    assert set(judge(pod(labels), there)) == set(judge(pod(labels), shuffled))


@given(labels, st.lists(policies, max_size=5))
def test_isolated_means_that_no_selecting_policy_allows_anything(labels, there):
    found = judge(pod(labels), [DENY, *there])
    quiet = [p for p in selecting(pod(labels), there) if not any(k.policy == f"default/{p['metadata']['name']}" for k in found)]
    assert bool(found) == (len(quiet) < len(selecting(pod(labels), there)))
