from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from irkit import collectors
from irkit.collectors.base import compact, yaml_of
from irkit.errors import ForbiddenError, IrkitError, UnreachableError
from irkit.model.evidence import Artefact
from irkit.model.kube import PODS
from tests.collectors.world import ALL, KEY, POD, World, collected, scope, world

FORBIDDEN, SILENT = ForbiddenError("you may not"), UnreachableError("no answer")


def names(files: dict[str, bytes | IrkitError], path: str) -> list[str]:
    content = files[path]
    assert isinstance(content, bytes)
    return [item["metadata"]["name"] for item in json.loads(content)["items"]]


def test_everything_of_the_suspect():
    files, gaps = collected(world())
    assert list(files) == [
        "pods/shop/web-1/pod.json", "incident-pod.yaml",
        "pods/shop/web-1/app/current.log", "pods/shop/web-1/app/previous.log", "pods/shop/web-1/setup/current.log",
        "incident-events.txt", "pods/shop/web-1/events.json", "namespaces/shop/events.json", "cluster/nodes/node-1/events.json",
        "namespaces/shop/replicasets/web-abc.json", "namespaces/shop/deployments/web.json",
        "namespaces/shop/deployments/web.replicasets.json",
        "pods/shop/web-1/services.json", "pods/shop/web-1/endpointslices.json",
        "namespaces/shop/secrets/web-secret.json", "namespaces/shop/configmaps/web-config.json",
        "namespaces/shop/persistentvolumeclaims/web-data.json",
        "namespaces/shop/networkpolicies.json", "cluster/namespaces.json",
        "namespaces/shop/serviceaccounts/web-sa.json", "namespaces/shop/rbac/web-sa/rolebindings.json",
        "namespaces/shop/rbac/web-sa/clusterrolebindings.json", "namespaces/shop/rbac/web-sa/roles.json",
        "namespaces/shop/rbac/web-sa/clusterroles.json",
        "pods/shop/web-1/credentials.json",
        "cluster/nodes/node-1.json",
    ]  # fmt: skip
    assert list(gaps) == ["Secret gone (key names, no values)"]
    assert all(isinstance(content, bytes) for content in files.values())


def test_a_sibling_shares_what_is_shared():
    files, _ = collected(world())
    others, _ = collected(world(), of=scope(suspect=False))
    assert not any(path.startswith("incident-") for path in others)
    assert {p for p in others if "web-2" not in p} == {p for p in files if "web-1" not in p and not p.startswith("incident-")}


def test_what_selected_the_pod_before_it_was_cut_off():
    files, _ = collected(world(), ["specs"])
    assert names(files, "pods/shop/web-1/services.json") == ["web"]
    assert names(files, "pods/shop/web-1/endpointslices.json") == ["web-x", "by-hand"]
    assert names(files, "namespaces/shop/deployments/web.replicasets.json") == ["web-abc", "web-old"]


def test_who_the_account_is_bound_to():
    files, _ = collected(world(), ["rbac"])
    folder = "namespaces/shop/rbac/web-sa/"
    assert names(files, folder + "rolebindings.json") == ["here", "there"]
    assert names(files, folder + "clusterrolebindings.json") == ["all"]
    assert names(files, folder + "roles.json") == ["reader"]
    assert names(files, folder + "clusterroles.json") == ["system:view", "basic"]


def test_bindings_of_the_namespace_where_others_may_not_be_read():
    cluster = world()
    for plural in ("rolebindings", "roles"):
        cluster.refuses["list", f"{plural}, everywhere"] = FORBIDDEN
    files, gaps = collected(cluster, ["rbac"])
    assert names(files, "namespaces/shop/rbac/web-sa/rolebindings.json") == ["here"]
    assert names(files, "namespaces/shop/rbac/web-sa/roles.json") == ["reader"]
    assert list(gaps) == [f"{kind} ServiceAccount shop/web-sa, from other namespaces" for kind in ("RoleBindings that reach", "Roles of")]


def test_no_value_of_a_secret_or_configmap_is_kept():
    files, _ = collected(world())
    everything = b"".join(content for content in files.values() if isinstance(content, bytes))
    for value in (b"hunter2", b"aHVudGVyMg", b"config-value"):
        assert value not in everything
    secret: Any = files["namespaces/shop/secrets/web-secret.json"]
    assert json.loads(secret)["data"]["password"]["length"] == 7
    config: Any = files["namespaces/shop/configmaps/web-config.json"]
    assert json.loads(config)["data"] == {"KEY": {"length": 12}}


def test_the_own_namespace_where_others_may_not_be_read():
    cluster = world()
    cluster.refuses["list", "namespaces"] = FORBIDDEN
    files, gaps = collected(cluster, ["network"])
    assert list(files) == ["namespaces/shop/networkpolicies.json", "cluster/namespaces/shop.json"]
    assert list(gaps) == ["labels of all namespaces"]


def test_events_of_pod_owners_and_node_as_a_table():
    files, _ = collected(world(), ["events"])
    table = files["incident-events.txt"]
    assert isinstance(table, bytes)
    lines = table.decode().splitlines()
    assert [line.split()[:5] for line in lines[:1]] == [["TIME", "TYPE", "REASON", "OBJECT", "COUNT"]]
    assert [line.split()[0] for line in lines[1:]] == ["2026-11-22T03:00:01.5Z", "2026-11-22T03:00:02Z", "2026-11-22T03:00:03Z"]
    assert lines[2].endswith("bye\\x1b[2J\\nforged line")
    assert names(files, "pods/shop/web-1/events.json") == ["web-abc.Created", "web-1.Killing", "node-1.Pressure"]
    assert len(names(files, "namespaces/shop/events.json")) == 3
    assert names(files, "cluster/nodes/node-1/events.json") == ["node-1.Pressure"]


def test_no_events_are_said():
    cluster = world()
    cluster.objects = [(r, o) for r, o in cluster.objects if r.kind != "Event"]
    table = collected(cluster, ["events"])[0]["incident-events.txt"]
    assert isinstance(table, bytes)
    assert b"(none;" in table


def test_the_pod_as_yaml_is_the_pod():
    content = collected(world(), ["state"])[0]["incident-pod.yaml"]
    assert isinstance(content, bytes)
    assert yaml.safe_load(content) == POD
    assert b"\x1b" not in content


SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters())
NAMES = st.text(st.characters(), max_size=5)


@given(st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=10))
def test_any_object_survives_json_and_yaml(value):
    assert json.loads(compact({"v": value})) == {"v": value}
    text = yaml_of({"v": value})
    text.decode()
    surrogates = any(0xD800 <= ord(c) <= 0xDFFF for c in json.dumps(value, ensure_ascii=False))
    loaded = json.loads(text) if surrogates else yaml.safe_load(text)
    assert loaded == {"v": value}


MISTAKABLE = [
    "no", "on", "Yes", "null", "~", "1e3", "0x1F", "1_000", "012", "12:30", "2026-11-22",
    "<<", "- a", "a: b", "# c", "", " ", "&a", "*a", "!x", "=", "y",
]  # fmt: skip


@pytest.mark.parametrize("word", MISTAKABLE)
def test_words_that_yaml_takes_for_something_else_are_quoted(word):
    text = yaml_of({"v": word}).decode()
    assert text.startswith('v: "')
    assert yaml.safe_load(text) == {"v": word}


@pytest.mark.parametrize("gone", [True, False])
@pytest.mark.parametrize("suspect", [True, False])
def test_a_pod_that_is_gone_or_was_replaced_leaves_the_rest(gone, suspect):
    cluster = world()
    name = scope(suspect=suspect).pod.name
    cluster.objects = [(r, o) for r, o in cluster.objects if not (r == PODS and o["metadata"]["name"] == name)]
    if not gone:
        cluster.objects.append((PODS, {**POD, "metadata": {"name": name, "namespace": "shop", "uid": "another"}}))
    files, gaps = collected(cluster, of=scope(suspect=suspect))
    assert [g.transient for g in gaps.values()] == [False]
    assert f"Pod shop/{name}" in gaps
    assert ("another" in gaps[f"Pod shop/{name}"].why) is not gone
    assert f"pods/shop/{name}/events.json" in files
    assert not any(path.endswith((".log", "pod.json")) for path in files)


@pytest.mark.parametrize(("error", "transient"), [(FORBIDDEN, False), (SILENT, True)])
def test_a_cluster_that_answers_nothing_leaves_gaps_only(error, transient):
    cluster = world()
    for resource, _ in cluster.objects:
        for verb in ("get", "list"):
            cluster.refuses[verb, resource.plural] = error
    cluster.refuses["list", "controllerrevisions"] = error
    files, gaps = collected(cluster)
    assert files == {}
    assert {g.transient for g in gaps.values()} == {transient}
    assert {g.why for g in gaps.values()} == {error.message}
    assert {"Pod shop/web-1", "events of namespace shop", "Services that selected Pod shop/web-1", "Node node-1"} <= gaps.keys()


def test_every_gap_is_closed_by_the_artefact_that_it_missed():
    """A later try takes the gap off the list by its words: they must be those of what is then got."""
    there = {p.what for p in collectors.collect(scope(), ALL, world(), KEY) if isinstance(p, Artefact)}
    missed: set[str] = set()
    for plural in {resource.plural for resource, _ in world().objects}:
        silent = world()
        silent.refuses = {("get", plural): SILENT, ("list", plural): SILENT}
        missed |= {what for what, gap in collected(silent)[1].items() if gap.transient}
    assert len(missed) >= 18
    assert missed - there == {"Secret gone (key names, no values)", "ConfigMap absent (key names, no values)"}  # which nobody can get


@pytest.mark.parametrize("plural", ["controllerrevisions", "endpointslices", "networkpolicies"])
def test_a_resource_that_is_not_served_is_not_missing(plural):
    cluster = world()
    cluster.unserved.add(plural)
    assert list(collected(cluster)[1]) == ["Secret gone (key names, no values)"]


def test_one_kind_that_fails_does_not_stop_the_others():
    class Broken(World):
        def list(self, resource: Any, namespace: Any = None, *, labels: str = "", fields: str = "") -> Any:
            if resource.kind == "Event":
                raise SILENT
            return super().list(resource, namespace, labels=labels, fields=fields)

    files, gaps = collected(Broken(world().objects, world().logs_of))
    assert {"events of namespace shop", "events of Node node-1"} <= gaps.keys()
    assert "cluster/nodes/node-1.json" in files


def test_what_vanishes_first_is_taken_first():
    order = [c.volatility for c in collectors.COLLECTORS]
    assert order == sorted(order)
    cluster = world()
    list(collectors.collect(scope(), ["node", "logs", "state"], cluster, KEY))
    assert [p.resource for p in cluster.asked] == ["pods", "pods", "nodes"]


@pytest.mark.parametrize("suspect", [True, False])
@pytest.mark.parametrize("forbidden", [True, False])
def test_what_is_asked_is_what_was_declared(suspect, forbidden):
    """Preflight and `playbook rbac` know every read, and name none that is not made."""
    cluster = world()
    for plural in ("rolebindings", "roles") if forbidden else ():
        cluster.refuses["list", f"{plural}, everywhere"] = FORBIDDEN
    if forbidden:
        cluster.refuses["list", "namespaces"] = FORBIDDEN
    collected(cluster, of=scope(suspect=suspect))
    declared = set(collectors.permissions(ALL, "shop"))
    asked = set(cluster.asked)
    assert asked <= declared
    kinds_elsewhere = {"statefulsets", "daemonsets", "jobs", "cronjobs", "controllerrevisions", "secretstores", "clustersecretstores",
                       "certificates", "secretproviderclasses"}  # fmt: skip
    if forbidden:
        unused = {(p.verb, p.resource) for p in declared - asked if p.resource not in kinds_elsewhere}
        assert unused == (set() if suspect else {("get", "pods")})


@pytest.mark.parametrize("name", ALL)
def test_each_kind_asks_for_nothing_of_the_others(name):
    cluster = world()
    collected(cluster, [name])
    assert set(cluster.asked) <= set(collectors.permissions([name], "shop"))
    assert cluster.asked


def test_permissions_are_told_once_and_only_of_what_is_taken():
    assert [str(p) for p in collectors.permissions(["logs"], "shop")] == ["get pods in shop", "list pods in shop", "get pods/log in shop"]
    every = collectors.permissions(ALL, "shop")
    assert len(set(every)) == len(every)
    assert {p.verb for p in every} == {"get", "list"}
    assert "list events in default" in map(str, every)
    assert collectors.permissions(["unknown"], "shop") == ()
