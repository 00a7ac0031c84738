"""Games on a real cluster: never on production, never outside a namespace of their own, and nothing of them stays."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from irkit.app.staging import guard, world
from irkit.app.staging.ledger import LABEL, Ledger, namespace_of, new_id, ours
from irkit.errors import IrkitError, RefusedError, UsageError
from irkit.game import loader
from irkit.sandbox.scenarios import todo_app
from tests.e2e.running import Irkit
from tests.game.staging import NOW, made

Obj = dict[str, Any]
FIRST = loader.find("first-contact")
NAMESPACE = "irkit-game-abcdef"
IMAGES = ("registry.k8s.io/pause:3.9", "registry.k8s.io/pause:3.10")

# what may be played on


@pytest.mark.parametrize(
    "name",
    [
        "prod",
        "prod-eu",
        "eu_prod_1",
        "shop.prd.example",
        "PRODUCTION",
        "https://k8s.live.example:6443",
        "prod2",
        "myProd",
        "eksprod",
        "prodeu",
        "acme-eksprod01",
        "PRODcluster",
        "myproduction",
    ],
)
def test_a_name_with_the_word_is_production(name: str):
    assert guard.says_production(name)
    with pytest.raises(RefusedError, match="looks like production: the context is called"):
        guard.check_names({"context": name})


@pytest.mark.parametrize("name", ["staging", "product-catalog", "reproduce", "olive", "delivery", "kind-test", "non-prod", "liveness", "",
                                  "nonprod", "preprod", "products", "producer", "reproduction", "prodigy"])  # fmt: skip
def test_a_name_without_it_is_not(name: str):
    assert not guard.says_production(name)


class Listed:
    """A cluster of which these may be listed, and nothing else is known."""

    def __init__(self, **objects: list[Obj] | None) -> None:
        self.objects = objects

    def list(self, resource: Any, namespace: str | None = None, *, labels: str = "", fields: str = "") -> list[Obj]:
        from irkit.errors import ForbiddenError

        found = self.objects.get(resource.plural, [])
        if found is None:
            raise ForbiddenError("no")
        return found


def named(name: str, **labels: str) -> Obj:
    return {"metadata": {"name": name, "labels": {k.replace("__", "/"): v for k, v in labels.items()}}}


@pytest.mark.parametrize("objects", [
    {"namespaces": [named("shop", environment="production")]},
    {"namespaces": [named("shop", env="prod-eu")]},
    {"namespaces": [named("shop", example__tier="PRD")]},
    {"namespaces": [named("shop", whatever="production")]},
    {"namespaces": [named("shop", production="true")]},
    {"namespaces": [named("production")]},
    {"nodes": [named("node-1", environment="live")]},
    {"nodes": [named("ip-10-0-0-1.prod.internal")]},
])  # fmt: skip
def test_what_is_there_may_say_production_and_nothing_overrides_it(objects: dict[str, list[Obj]]):
    with pytest.raises(RefusedError, match="looks like production"):
        guard.check_cluster(Listed(**objects), really=True)  # type: ignore[arg-type]


def test_labels_of_other_meaning_say_nothing():
    there = [named("shop", app="live-chat", tier="backend", production="false", kubernetes__metadata="x"), named("dev", environment="development")]
    guard.check_cluster(Listed(namespaces=there, nodes=[named("node-1", arch="amd64")]), really=False)  # type: ignore[arg-type]


@pytest.mark.parametrize("objects", [
    {"nodes": [named(f"node-{n}") for n in range(11)]},
    {"pods": [{"metadata": {"name": f"p{n}", "namespace": "shop"}} for n in range(151)]},
    {"nodes": None},
    {"namespaces": None},
    {"pods": None},
], ids=["nodes", "pods", "nodes-forbidden", "namespaces-forbidden", "pods-forbidden"])  # fmt: skip
def test_a_large_cluster_and_one_that_cannot_be_looked_at_need_a_word_more(objects: dict[str, list[Obj] | None]):
    with pytest.raises(RefusedError, match="nothing was made") as refused:
        guard.check_cluster(Listed(**objects), really=False)  # type: ignore[arg-type]
    assert "--really" in refused.value.next
    guard.check_cluster(Listed(**objects), really=True)  # type: ignore[arg-type]


# what is made of a scenario


def staged(*manifests: Obj, **changes: Any) -> world.Staged:
    scenario = msgspec.structs.replace(FIRST, world=msgspec.structs.replace(FIRST.world, manifests=manifests, **changes))
    return world.staged(scenario, todo_app.written(), "20261122t031500z-abcdef", NAMESPACE, IMAGES)


def pod(**spec: Any) -> Obj:
    meta = {"name": "miner", "namespace": "todo-app", "finalizers": ["example.com/stay"], "annotations": {"vault.hashicorp.com/agent-inject": "true"}}
    container = {"name": "main", "image": "evil.example/miner", "command": ["sh", "-c", "mine"], **spec.pop("container", {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [container], **spec}}


def test_all_of_it_is_in_one_namespace_and_does_nothing():
    made = staged(pod(priorityClassName="high", tolerations=[{"operator": "Exists"}]))
    text = json.dumps(made.objects)
    assert {o["metadata"]["namespace"] for o in made.objects} == {NAMESPACE}
    for left_out in (
        "todo-app",
        "todo-app-tls",
        "cert-manager",
        "evil.example",
        "command",
        "finalizers",
        "agent-inject",
        "priorityClassName",
        "tolerations",
    ):
        assert left_out not in text
    images = re.findall(r'"image": "([^"]*)"', text)
    assert set(images) == set(IMAGES)
    assert images.count(IMAGES[0]) == 1, "only what is under attack has the hole"
    assert "todo-app" not in json.dumps(msgspec.to_builtins([goal.better for goal in made.scenario.goals]))
    assert {"evidence", "app-keys", "database-login"} <= set(made.without)
    assert {"cut-off", "no-more-of-it", "token", "back-again", "kept-alive", "nobody-else"} == {goal.id for goal in made.scenario.goals}


REACHING = {
    "hostNetwork": pod(hostNetwork=True),
    "hostPID": pod(hostPID=True),
    "privileged": pod(container={"securityContext": {"privileged": True}}),
    "hostPort": pod(container={"ports": [{"containerPort": 80, "hostPort": 80}]}),
    "capabilities": pod(container={"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}),
    "volume": pod(volumes=[{"name": "root", "hostPath": {"path": "/"}}]),
    "ClusterRoleBinding": {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "x"}},
    "DaemonSet": {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "x", "namespace": "todo-app"}, "spec": {}},
    "rights beyond": {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "x", "namespace": "todo-app"},
                      "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"}, "subjects": []},
    "from outside": {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x", "namespace": "todo-app"}, "spec": {"type": "LoadBalancer"}},
    "would be a token": {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "namespace": "todo-app"},
                         "type": "kubernetes.io/service-account-token"},
    "takes storage": {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "x", "namespace": "todo-app"},
                      "spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]}},
}  # fmt: skip


@pytest.mark.parametrize("word", REACHING)
def test_what_reaches_further_is_refused_in_one_sentence(word: str):
    with pytest.raises(RefusedError, match=word) as refused:
        staged(REACHING[word])
    assert refused.value.message.startswith("scenario first-contact can't be played on a real cluster: ")
    assert "\n" not in refused.value.message


@pytest.mark.parametrize(("changes", "word"), [({"vault": {"prod/x": {"A": "b"}}}, "Vault"), ({"without": ("Pod todo-app/nobody",)}, "take away")])
def test_what_is_not_there_is_said(changes: dict[str, Any], word: str):
    with pytest.raises(UsageError, match=word):
        staged(**changes)


NAMED = {"name": "x", "namespace": "todo-app"}
SHAPELESS: list[Obj] = [
    {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": NAMED, "spec": {"replicas": "many", "template": {}}},
    {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": NAMED, "spec": 7},
    {"apiVersion": "v1", "kind": "Pod", "metadata": NAMED, "spec": {"volumes": [5]}},
    {"apiVersion": "v1", "kind": "Pod", "metadata": NAMED, "spec": {"containers": "x"}},
    {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": NAMED, "roleRef": {"kind": "Role"}, "subjects": [5]},
]


@pytest.mark.parametrize("odd", range(len(SHAPELESS)))
def test_a_world_of_wrong_types_is_one_sentence(odd: int):
    with pytest.raises(UsageError, match="has not the shape of its kind") as said:
        staged(SHAPELESS[odd])
    assert "\n" not in said.value.message


def test_what_only_the_built_in_cluster_can_make_is_said():
    aged = pod()
    aged["metadata"]["annotations"] = {"sandbox.irkit.dev/days": "200"}
    with pytest.raises(UsageError, match="Pod miner is as only the built-in cluster can make it"):
        staged(aged)


def test_what_others_have_in_another_namespace_is_not_made_beside_it():
    meta = {"name": "queue", "namespace": "orders"}
    template = {"metadata": {"labels": {"app": "queue"}}, "spec": {"containers": [{"name": "queue", "image": "registry.example/queue:1"}]}}
    queue: Obj = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {"replicas": 2, "template": template}}
    there = msgspec.structs.replace(FIRST.world, manifests=(queue,), namespace="orders", suspect={"app": "queue"})
    goals = tuple(goal for goal in FIRST.goals if goal.id in ("cut-off", "nobody-else"))
    alone = world.staged(msgspec.structs.replace(FIRST, world=there, goals=goals), todo_app.written(), "20261122t031500z-abcdef", NAMESPACE, IMAGES)
    assert (alone.pods, [o["metadata"]["name"] for o in alone.objects]) == (2, ["queue"])
    assert alone.objects[0]["spec"]["template"]["spec"]["containers"][0]["image"] == IMAGES[0]
    assert alone.without["nobody-else"] == "what it is about is in another namespace, and is left out"


def test_too_many_pods_are_refused():
    meta = {"name": "many", "namespace": "todo-app"}
    with pytest.raises(UsageError, match="41 pods"):
        staged({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {"replicas": 33, "template": {"spec": {}}}})


def test_every_built_in_scenario_can_be_played_there_or_says_why_not():
    played = 0
    for path in loader.listed().values():
        scenario = loader.load(path)
        base = todo_app.written() if scenario.world.base == "todo-app" else []
        why = ""
        try:
            found = world.staged(scenario, base, "20261122t031500z-abcdef", NAMESPACE, IMAGES)
        except (UsageError, RefusedError) as error:
            why = error.message
        assert not why or why.startswith(f"scenario {scenario.name} can't be played on a real cluster: ")
        if why:
            continue
        played += 1
        assert {o["metadata"]["namespace"] for o in found.objects} == {NAMESPACE}
        assert not any(o["spec"].get(field) for o in found.objects if o["kind"] == "Pod" for field in ("hostNetwork", "hostPID", "hostIPC"))
    assert played


# what is written down


def test_the_ledger_is_for_its_owner_and_survives_what_is_torn_or_foreign(tmp_path: Path):
    ledger, path = Ledger(tmp_path / "home"), tmp_path / "home" / "games" / "staging.jsonl"
    ledger.write("begun", made(), NOW)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    foreign = {"event": "begun", "at": "x", "made": {"id": "x", "namespace": "kube-system", "context": "", "server": "", "cluster": ""}}
    with path.open("ab") as file:
        file.write(b"\xff\x00\n" + json.dumps(foreign).encode() + b'\n{"ev')
    ledger.write("made", made(uid="u1"), NOW)
    assert ledger.open() == [made(uid="u1")]
    ledger.write("removed", made(uid="u1"), NOW)
    assert ledger.open() == []


def test_without_a_ledger_nothing_is_made(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RefusedError, match="nothing was made"):
        Ledger(tmp_path / "file").write("begun", made(), NOW)


def namespace_object(name: str, label: str, field_manager: str = "irkit") -> Obj:
    fields: Obj = {"f:metadata": {"f:labels": {f"f:{LABEL}": {}}}}
    return {"metadata": {"name": name, "uid": "u1", "labels": {LABEL: label}, "managedFields": [{"manager": field_manager, "fieldsV1": fields}]}}


def test_a_label_alone_proves_nothing():
    identifier = new_id(NOW)
    name = namespace_of(identifier)
    recorded = {name: made(identifier, uid="u1")}
    assert ours(namespace_object(name, identifier, "kubectl"), recorded) == "recorded"
    assert ours(namespace_object(name, identifier), {}) == "made"
    assert ours(namespace_object(name, identifier, "kubectl-create"), {}) == ""
    assert ours(namespace_object("shop", identifier), {}) == ""
    assert ours(namespace_object(name, "whatever"), {}) == ""
    assert ours(namespace_object(name, identifier), {name: made(identifier, uid="another")}) == ""


def test_two_processes_do_not_take_each_others_game_for_left_behind(tmp_path: Path):
    ledger = Ledger(tmp_path)
    held = ledger.lock("20261122t031500z-abcdef")
    assert ledger.played("20261122t031500z-abcdef")
    held.release()
    assert not ledger.played("20261122t031500z-abcdef")


def test_a_mistake_is_one_sentence(tmp_path: Path):
    answer = Irkit(tmp_path / "none", tmp_path / "home").run("rehearse", "--staging", "nowhere", "--confirm", "nowhere")
    assert answer.ended(2).stderr.startswith("2: ")
    assert isinstance(UsageError("x"), IrkitError)
