"""Patches: the examples of the RFCs and the documentation, and what must hold for all."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.sandbox.patches import fields
from irkit.sandbox.patches.jsonpatch import PatchError, json_patch
from irkit.sandbox.patches.merge import merge
from irkit.sandbox.patches.strategic import strategic_merge

scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
keys = st.text("abc/~", min_size=1, max_size=3)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=12)
objects = st.dictionaries(keys, values, max_size=4)


# RFC 7386, appendix A
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_examples(target: Any, patch: Any, result: Any) -> None:
    assert merge(target, patch) == result


@given(objects, objects)
def test_merge_patch_changes_no_argument_and_converges(target: Any, patch: Any) -> None:
    kept = copy.deepcopy((target, patch))
    once = merge(target, patch)
    assert (target, patch) == kept
    assert merge(once, patch) == once


@given(objects)
def test_merge_patch_of_nothing(target: Any) -> None:
    assert merge(target, {}) == target
    assert merge(target, dict.fromkeys(target)) == {}


# "Update API Objects in Place Using kubectl patch", Kubernetes documentation
def spec(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": list(containers), **more}}}}


def test_strategic_merge_adds_a_container() -> None:
    live = spec({"name": "web", "image": "nginx"}, tolerations=[{"key": "dedicated"}])
    patch = spec({"name": "cache", "image": "redis"}, tolerations=[{"key": "disktype"}])
    merged = strategic_merge(live, patch)["spec"]["template"]["spec"]
    assert merged["containers"] == [{"name": "web", "image": "nginx"}, {"name": "cache", "image": "redis"}]
    assert merged["tolerations"] == [{"key": "disktype"}]  # a list without merge key is replaced


def test_strategic_merge_by_key_delete_and_replace() -> None:
    live = spec({"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]}, {"name": "b", "image": "2"})
    merged = strategic_merge(live, spec({"name": "a", "env": [{"name": "Y", "$patch": "delete"}, {"name": "Z", "value": "3"}]}))
    assert merged["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "X", "value": "1"}, {"name": "Z", "value": "3"}]
    merged = strategic_merge(live, spec({"$patch": "replace"}, {"name": "c"}))
    assert merged["spec"]["template"]["spec"]["containers"] == [{"name": "c"}]
    live = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    merged = strategic_merge(live, {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}})
    assert merged == {"spec": {"strategy": {"type": "Recreate"}}}


def test_strategic_merge_of_sets_and_order() -> None:
    live = {"metadata": {"finalizers": ["a", "b"]}}
    assert strategic_merge(live, {"metadata": {"finalizers": ["c", "a"]}}) == {"metadata": {"finalizers": ["a", "b", "c"]}}
    gone = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}
    assert strategic_merge(live, gone) == {"metadata": {"finalizers": ["b"]}}
    live = spec({"name": "a"}, {"name": "b"}, {"name": "c"})
    order = {"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}]}}}}
    ordered = strategic_merge(live, order)["spec"]["template"]["spec"]["containers"]
    assert [c["name"] for c in ordered] == ["c", "a", "b"]


@given(objects, objects)
def test_strategic_merge_is_merge_where_no_list_is_keyed(target: Any, patch: Any) -> None:
    assert strategic_merge(target, patch) == merge(target, patch)


# RFC 6902, appendix A
@pytest.mark.parametrize(
    ("document", "operations", "result"),
    [
        ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
        ({"foo": ["bar", "baz"]}, [{"op": "add", "path": "/foo/1", "value": "qux"}], {"foo": ["bar", "qux", "baz"]}),
        ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
        ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
        ({"baz": "qux"}, [{"op": "replace", "path": "/baz", "value": "boo"}], {"baz": "boo"}),
        ({"a": {"b": 1}, "q": {}}, [{"op": "move", "from": "/a/b", "path": "/q/c"}], {"a": {}, "q": {"c": 1}}),
        ({"foo": ["all", "grass", "cows", "eat"]}, [{"op": "move", "from": "/foo/1", "path": "/foo/3"}], {"foo": ["all", "cows", "eat", "grass"]}),
        ({"a": 1}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": 1, "b": 1}),
        ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["abc"]}], {"foo": ["bar", ["abc"]]}),
        ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
        ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
    ],
)
def test_json_patch_examples(document: Any, operations: Any, result: Any) -> None:
    kept = copy.deepcopy(document)
    assert json_patch(document, operations) == result
    assert document == kept


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a", "value": 2},
        {"op": "remove", "path": "/b"},
        {"op": "replace", "path": "/b", "value": 1},
        {"op": "add", "path": "/x/y", "value": 1},
        {"op": "add", "path": "/l/5", "value": 1},
        {"op": "add", "path": "/l/01", "value": 1},
        {"op": "remove", "path": "/l/-"},
        {"op": "nonsense", "path": "/a"},
        {"op": "add", "path": "a", "value": 1},
        {"path": "/a"},
    ],
)
def test_json_patch_that_can_not_be(operation: dict[str, Any]) -> None:
    with pytest.raises(PatchError):
        json_patch({"a": 1, "l": [1]}, [operation])


# who owns which field

LEASE = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}}
TIME = "2026-11-22T03:15:00Z"


def owner_of(obj: dict[str, Any], field: str) -> set[str]:
    return {e["manager"] for e in obj["metadata"]["managedFields"] if field in e["fieldsV1"].get("f:spec", {})}


@given(objects)
def test_a_field_set_survives_its_tree(obj: Any) -> None:
    found = frozenset(fields.values_of({"spec": obj}))
    assert fields.set_of(fields.tree_of(found)) == found


@given(st.lists(st.tuples(st.sampled_from("ab"), st.dictionaries(st.sampled_from(["x", "y", "z"]), st.integers(0, 2), max_size=3)), max_size=6))
def test_after_any_updates_each_field_has_one_owner(writes: list[tuple[str, dict[str, int]]]) -> None:
    live: dict[str, Any] | None = None
    for manager, spec in writes:
        new: dict[str, Any] = {**LEASE, "metadata": {"name": "l"}, "spec": spec}
        new["metadata"]["managedFields"] = fields.record(live, new, manager=manager, time=TIME)
        live = new
        for field in spec:
            assert len(owner_of(new, f"f:{field}")) == 1
        assert not any(owner_of(new, f"f:{field}") for field in {"x", "y", "z"} - set(spec))


@given(st.dictionaries(st.sampled_from("xyz"), st.integers(0, 1)), st.dictionaries(st.sampled_from("xyz"), st.integers(0, 1)))
def test_apply_conflicts_exactly_where_values_differ(mine: dict[str, int], theirs: dict[str, int]) -> None:
    start: dict[str, Any] = {**LEASE, "metadata": {"name": "l"}, "spec": {}}
    live = fields.apply(start, {**LEASE, "spec": theirs}, manager="them", time=TIME, force=False)
    clash = {key for key in mine if key in theirs and mine[key] != theirs[key]}
    if clash:
        with pytest.raises(fields.ApplyConflict) as caught:
            fields.apply(live, {**LEASE, "spec": mine}, manager="me", time=TIME, force=False)
        assert {field for _, field in caught.value.conflicts} == {f".spec.{key}" for key in clash}
    forced = fields.apply(live, {**LEASE, "spec": mine}, manager="me", time=TIME, force=True)
    assert forced["spec"] == {**theirs, **mine}
    assert all(owner_of(forced, f"f:{key}") == {"me"} for key in clash)
    assert fields.apply(forced, {**LEASE, "spec": mine}, manager="me", time="2026-11-22T03:15:01Z", force=False) is forced
    given_up = fields.apply(forced, {**LEASE, "spec": {}}, manager="me", time=TIME, force=False)
    assert set(given_up.get("spec", {})) == {key for key in theirs if key not in clash}
