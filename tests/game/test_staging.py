"""Games on a real cluster: never on production, never outside a namespace of their own, and nothing of them stays."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from irkit import wiring
from irkit.app.staging import guard, world
from irkit.app.staging.ledger import LABEL, Ledger, Made, namespace_of, new_id, ours
from irkit.app.staging.removal import Cleaner, remove
from irkit.errors import IrkitError, RefusedError, UnreachableError, UsageError
from irkit.game import loader
from irkit.model.kube import NAMESPACES, ObjectRef
from irkit.sandbox.scenarios import todo_app
from tests.controlplane.running import Running
from tests.e2e.running import PROGRAM, Irkit, manager, writes

Obj = dict[str, Any]
FIRST = loader.find("first-contact")
DOCS = Path(__file__).parents[2] / "docs" / "reference" / "staging.md"
NOW = datetime(2026, 11, 22, 3, 15, tzinfo=UTC)
NAMESPACE = "irkit-game-abcdef"
IMAGES = ("registry.k8s.io/pause:3.9", "registry.k8s.io/pause:3.10")

# what may be played on


@pytest.mark.parametrize(
    "name", ["prod", "prod-eu", "eu_prod_1", "shop.prd.example", "PRODUCTION", "https://k8s.live.example:6443", "prod2", "myProd"]
)
def test_a_name_with_the_word_is_production(name: str):
    assert guard.says_production(name)
    with pytest.raises(RefusedError, match="looks like production: the context is called"):
        guard.check_names({"context": name})


@pytest.mark.parametrize("name", ["staging", "product-catalog", "reproduce", "olive", "delivery", "kind-test", "non-prod", "liveness", ""])
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


def made(identifier: str = "20261122t031500z-abcdef", **more: str) -> Made:
    return Made(**{"id": identifier, "namespace": namespace_of(identifier), "context": "test", "server": "https://x", "cluster": "c", **more})


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


# on a real cluster

COMMAND = ("rehearse", "--staging", "test", "--confirm", "test")


@pytest.fixture
def irkit(control_plane: Running, tmp_path: Path) -> Irkit:
    return Irkit(control_plane.admin_kubeconfig, tmp_path / "home")


def games_of(plane: Running) -> list[str]:
    return [n["metadata"]["name"] for n in plane.get("namespaces")["items"] if n["metadata"]["name"].startswith("irkit-game-")]


class Game:
    """A game that people play from another terminal."""

    def __init__(self, irkit: Irkit, *words: str) -> None:
        self.process = irkit.start(*COMMAND, *words)
        self.said, self.exports = "", dict[str, str]()
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            if found := re.match(r"export (\w+)='?([^'\n]*)", line):
                self.exports[found[1]] = found[2]
            if "next:" in line:
                break
        found_pod = re.search(r"kubectl describe pod (\S+) -n (\S+)", self.said)
        assert found_pod, self.said
        self.suspect, self.namespace = found_pod[1], found_pod[2]

    def end(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err


@pytest.fixture
def left_alone(control_plane: Running) -> Iterator[None]:
    """Nothing of a game is there after the test."""
    yield
    until = time.monotonic() + 60
    while (left := games_of(control_plane)) and time.monotonic() < until:
        time.sleep(0.2)
    assert left == []


@pytest.mark.controlplane
@pytest.mark.slow
@pytest.mark.usefixtures("left_alone")
def test_irkit_plays_it_in_a_namespace_of_its_own_and_writes_nowhere_else(control_plane: Running, irkit: Irkit):
    mark = control_plane.mark()
    answer = irkit.run(*COMMAND, "--watch", "--speed", "10", "-o", "json").ended(0)
    card = answer.document
    assert card["score"] == 100, card["findings"]
    assert {"evidence", "app-keys", "database-login"} <= set(card["unjudged"])
    assert card["lost"] == []
    assert card["times"]["contain"] >= 15
    sent = writes(control_plane.audit(mark, agent="irkit/"))
    where = {(e["objectRef"].get("namespace") or e["objectRef"].get("name") or "", e["objectRef"]["resource"]) for e in sent}
    assert len({namespace for namespace, resource in where if namespace}) == 1, where
    assert {resource for namespace, resource in where if not namespace} <= {"tokenreviews", "namespaces"}
    assert {manager(e) for e in sent if e["verb"] in ("create", "patch") and "review" not in e["objectRef"]["resource"]} == {"irkit"}
    assert Ledger(irkit.home).open() == []


@pytest.mark.controlplane
@pytest.mark.slow
@pytest.mark.usefixtures("left_alone")
def test_what_others_do_with_kubectl_counts_and_is_seen(control_plane: Running, irkit: Irkit):
    game = Game(irkit, "-o", "json", "--speed", "5")

    def kubectl(*words: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "KUBECONFIG": game.exports["KUBECONFIG"]}
        return subprocess.run([str(control_plane.kubectl_program), *words], env=environ, capture_output=True, text=True, timeout=60, check=True)

    assert kubectl("config", "current-context").stdout.strip() == game.namespace
    quota = json.loads(kubectl("get", "resourcequota,limitrange", "-o", "json").stdout)["items"]
    assert {q["kind"] for q in quota} == {"ResourceQuota", "LimitRange"}
    kubectl("label", "pod", game.suspect, "quarantine=true")
    kubectl("scale", "deployment/backend", "--replicas=0")
    kubectl("wait", "--for=delete", f"pod/{game.suspect}", "--timeout=30s")
    time.sleep(2)
    code, out, err = game.end()
    assert code == 0, err
    card = json.loads(out)
    assert 0 < card["score"] < 60
    assert any(f["what"].startswith("kept-alive") and "was ended" in f["what"] for f in card["findings"])
    assert card["times"]["detect"] > 0
    assert card["lost"] == [], "who read what is not known there, and nothing is said of it"


@pytest.mark.controlplane
@pytest.mark.slow
@pytest.mark.usefixtures("left_alone")
def test_sigterm_takes_everything_away(control_plane: Running, irkit: Irkit):
    game = Game(irkit)
    assert game.namespace in games_of(control_plane)
    code, out, err = game.end(signal.SIGTERM)
    assert code == 0, err
    assert f"removed namespace {game.namespace}" in err
    assert "of 100 points" in out


@pytest.mark.controlplane
@pytest.mark.slow
@pytest.mark.usefixtures("left_alone")
def test_interrupted_while_it_is_made_nothing_stays(control_plane: Running, irkit: Irkit):
    process = irkit.start(*COMMAND)
    until = time.monotonic() + 30
    while not games_of(control_plane):
        assert time.monotonic() < until
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=90)
    assert "Traceback" not in err
    assert (process.returncode, Ledger(irkit.home).open()) == (130, []), err
    assert "nothing of the game is left" in err


@pytest.mark.controlplane
@pytest.mark.slow
@pytest.mark.usefixtures("left_alone")
def test_what_a_killed_game_left_is_cleaned(control_plane: Running, irkit: Irkit):
    game = Game(irkit)
    answer = irkit.run("rehearse", "clean", "--yes").ended(0)
    assert "another process of this machine plays in it" in answer.stdout
    game.end(signal.SIGKILL)
    assert game.namespace in games_of(control_plane)
    asked = irkit.run("rehearse", "clean").ended(3)
    assert f"Remove {game.namespace} of test" in asked.stderr
    assert game.namespace in games_of(control_plane)
    found = irkit.json("rehearse", "clean", "--yes")
    assert [(n["namespace"], n["outcome"]) for n in found["namespaces"]] == [(game.namespace, "removed")]
    assert irkit.json("rehearse", "clean", "--yes")["namespaces"] == []


@pytest.mark.controlplane
@pytest.mark.slow
@pytest.mark.usefixtures("left_alone")
def test_the_next_game_takes_away_what_a_killed_one_left(control_plane: Running, irkit: Irkit):
    first = Game(irkit)
    first.end(signal.SIGKILL)
    second = Game(irkit)
    assert f"of a game before: removed {first.namespace}" in second.said
    assert games_of(control_plane) == [second.namespace]
    assert second.end()[0] == 0


@pytest.mark.controlplane
@pytest.mark.slow
@pytest.mark.usefixtures("left_alone")
def test_from_another_machine_it_is_asked_for_and_not_before_its_game_is_over(control_plane: Running, irkit: Irkit, tmp_path: Path):
    game = Game(irkit)
    elsewhere = irkit.elsewhere(tmp_path / "other")
    found = elsewhere.json("rehearse", "clean", "--staging", "test", "--yes")
    assert [(n["namespace"], n["outcome"]) for n in found["namespaces"]] == [(game.namespace, "kept")]
    asked = elsewhere.asked("rehearse", "clean", "--staging", "test", answers=["n"]).ended(0)
    assert "was made by irkit on another machine; its game may go on until" in asked.stdout
    game.end(signal.SIGKILL)
    elsewhere.asked("rehearse", "clean", "--staging", "test", answers=["y"]).ended(0)
    assert game.namespace not in games_of(control_plane)
    assert irkit.json("rehearse", "clean", "--yes")["namespaces"] == []  # it is gone, and struck off


@pytest.mark.controlplane
@pytest.mark.slow
def test_a_namespace_of_somebody_else_with_our_label_is_left_alone(control_plane: Running, irkit: Irkit):
    identifier = new_id(NOW)
    forged = {namespace_of(identifier): identifier, "t-staging-shop": new_id(NOW)}
    for name, label in forged.items():
        control_plane.kubectl("create", "namespace", name)
        control_plane.kubectl("label", "namespace", name, f"{LABEL}={label}")
    try:
        found = irkit.json("rehearse", "clean", "--staging", "test", "--yes")
        assert {n["namespace"]: n["outcome"] for n in found["namespaces"]} == dict.fromkeys(forged, "other")
        cluster = control_plane.get("namespace", "kube-system")["metadata"]["uid"]
        Ledger(irkit.home).write("made", made(identifier, cluster=cluster, uid="what-was-made", kubeconfig=str(irkit.kubeconfig)), NOW)
        found = irkit.json("rehearse", "clean", "--yes", code=8)
        assert {n["namespace"]: n["outcome"] for n in found["namespaces"]}[namespace_of(identifier)] == "changed"
        assert "deletionTimestamp" not in control_plane.get("namespace", namespace_of(identifier))["metadata"]
    finally:
        for name in forged:
            control_plane.kubectl("delete", "namespace", name, "--wait=true")


@pytest.mark.controlplane
@pytest.mark.slow
def test_a_namespace_that_does_not_go_is_said_with_its_reason(control_plane: Running, irkit: Irkit):
    game = Game(irkit)
    meta = {"name": "stays", "namespace": game.namespace, "finalizers": ["example.com/stay"]}
    stays: Obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
    control_plane.apply(stays)
    game.end(signal.SIGKILL)
    ref = ObjectRef(resource=NAMESPACES, name=game.namespace)
    with wiring.staging(msgspec.structs.replace(wiring.settings(), kubeconfig=str(irkit.kubeconfig))) as ground:
        with pytest.raises(UnreachableError, match=r"example\.com/stay in 1 resource instances"):
            remove(ground.cluster, ref, ground.clock, wait=8)
        uid = ground.connection.identify().uid
        cleaner = Cleaner(ground.cluster, ground.clock, Ledger(irkit.home), "test", uid, (), lambda question, over: False, wait=1)
        assert [(left.namespace, left.outcome) for left in cleaner.clean()] == [(game.namespace, "hangs")]
        assert [m.namespace for m in Ledger(irkit.home).open()] == [game.namespace]
    control_plane.kubectl("patch", "configmap", "stays", "-n", game.namespace, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    assert irkit.json("rehearse", "clean", "--yes")["exitCode"] == 0
    assert games_of(control_plane) == []


def called(irkit: Irkit, path: Path, name: str, server: str = "") -> Irkit:
    """The same cluster by a kubeconfig whose context is called so."""
    document = json.loads(irkit.kubeconfig.read_text())
    document["current-context"] = document["contexts"][0]["name"] = name
    if server:
        document["clusters"][0]["cluster"]["server"] = server
    path.write_text(json.dumps(document))
    return irkit.using(path)


@pytest.mark.controlplane
@pytest.mark.slow
def test_a_context_that_looks_like_production_is_refused_before_anything_is_sent(control_plane: Running, irkit: Irkit, tmp_path: Path):
    there = called(irkit, tmp_path / "config", "eu-prod")
    mark = control_plane.mark()
    answer = there.run("rehearse", "--staging", "eu-prod", "--confirm", "eu-prod", "--really", "--yes").ended(8)
    assert "this looks like production: the context is called eu-prod; nothing was made" in answer.stderr
    assert control_plane.audit(mark, agent="irkit/") == []
    assert not (irkit.home / "games").exists()


@pytest.mark.controlplane
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["namespace", "node"])
def test_a_cluster_whose_labels_say_so_is_refused(control_plane: Running, irkit: Irkit, kind: str):
    name = "default" if kind == "namespace" else control_plane.nodes[0]
    control_plane.kubectl("label", kind, name, "environment=production")
    try:
        mark = control_plane.mark()
        answer = irkit.run(*COMMAND, "--really").ended(8)
        assert f"{kind} {name} has the label environment=production" in answer.stderr
        assert writes(control_plane.audit(mark, agent="irkit/")) == []
    finally:
        control_plane.kubectl("label", kind, name, "environment-")


@pytest.mark.controlplane
@pytest.mark.slow
@pytest.mark.parametrize(("words", "code", "said"), [
    ((), 3, "--yes does not do"),
    (("--yes",), 3, "--yes does not do"),
    (("--confirm", "tset"), 3, "--confirm says tset, and the context is test"),
    (("--confirm", "test", "--image", "registry.example/pause:1"), 2, "--image and --patched go together"),
    (("--confirm", "test", "--image", "registry.example/pause:1", "--patched", "registry.example/pause:2"), 2, "pinned by its digest"),
    (("--confirm", "test", "--speed", "nan"), 2, "--speed"),
    (("--confirm", "test", "--scenario", "first-contakt"), 2, "did you mean first-contact"),
])  # fmt: skip
def test_without_the_contexts_name_and_with_wrong_words_nothing_is_made(
    control_plane: Running, irkit: Irkit, words: tuple[str, ...], code: int, said: str
):
    mark = control_plane.mark()
    assert said in irkit.run("rehearse", "--staging", "test", *words).ended(code).stderr
    assert writes(control_plane.audit(mark, agent="irkit/")) == []


def typed(irkit: Irkit, text: str) -> tuple[int, str]:
    """A person who types the context's name, and Ctrl-C when the game has begun."""
    master, slave = pty.openpty()
    environ = {**irkit.environ(), "TERM": "dumb", "COLUMNS": "200"}
    command = [str(PROGRAM), "rehearse", "--staging", "test", "--yes"]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environ, start_new_session=True)
    os.close(slave)
    shown, answered, ended, until = b"", False, False, time.monotonic() + 90
    while process.poll() is None or select.select([master], [], [], 0.1)[0]:
        assert time.monotonic() < until, shown.decode(errors="replace")
        if select.select([master], [], [], 0.1)[0]:
            try:
                more = os.read(master, 65536)
            except OSError:
                break
            shown += more
        if b"to go on (test): " in shown and not answered:
            os.write(master, text.encode() + b"\n")
            answered = True
        if b"next:      kubectl" in shown and not ended:
            process.send_signal(signal.SIGINT)
            ended = True
    os.close(master)
    return process.wait(60), shown.decode(errors="replace")


@pytest.mark.controlplane
@pytest.mark.slow
@pytest.mark.usefixtures("left_alone")
def test_a_person_types_the_name_of_the_context(irkit: Irkit):
    code, shown = typed(irkit, "yes")
    assert code == 3, shown
    assert "that is not the context's name; nothing was made" in shown
    code, shown = typed(irkit, "test")
    assert code == 0, shown
    assert "removed namespace irkit-game-" in shown


@pytest.mark.controlplane
@pytest.mark.slow
@pytest.mark.usefixtures("left_alone")
def test_missing_rights_are_named_and_with_the_documented_ones_it_is_played(control_plane: Running, irkit: Irkit):
    role = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)[0])

    def without(verb: str) -> Obj:
        rules = [{**rule, "verbs": [v for v in rule["verbs"] if v != verb]} for rule in role["rules"]]
        return {**role, "metadata": {"name": f"staging-without-{verb}"}, "rules": [rule for rule in rules if rule["verbs"]]}

    stranger = irkit.using(control_plane.user().kubeconfig)
    answer = stranger.run(*COMMAND).ended(4)
    for right in ("create namespaces cluster-wide", "delete namespaces cluster-wide", "create deployments.apps", "list secrets", "nothing was made"):
        assert right in answer.stderr
    answer = irkit.using(control_plane.user("", without("delete")).kubeconfig).run(*COMMAND).ended(4)
    assert "a game needs rights that you don't have on this cluster: delete namespaces cluster-wide, delete pods; nothing was made" in answer.stderr
    player = irkit.using(control_plane.user("", role).kubeconfig)
    assert Game(player).end()[0] == 0


@pytest.mark.controlplane
@pytest.mark.slow
def test_a_cluster_that_does_not_answer(control_plane: Running, irkit: Irkit, tmp_path: Path):
    there = called(irkit, tmp_path / "config", "test", "https://127.0.0.1:9").configured(tmp_path / "settings", **{"retry-budget": 1})
    answer = there.run(*COMMAND).ended(7)
    assert "127.0.0.1:9" in answer.stderr
    assert not (irkit.home / "games").exists()
    Ledger(irkit.home).write("made", made(kubeconfig=str(there.kubeconfig)), NOW)
    found = there.json("rehearse", "clean", "--yes", code=7)
    assert [n["outcome"] for n in found["namespaces"]] == ["unreachable"]
    assert Ledger(irkit.home).open() == [made(kubeconfig=str(there.kubeconfig))]


def test_a_mistake_is_one_sentence(tmp_path: Path):
    answer = Irkit(tmp_path / "none", tmp_path / "home").run("rehearse", "--staging", "nowhere", "--confirm", "nowhere")
    assert answer.ended(2).stderr.startswith("2: ")
    assert isinstance(UsageError("x"), IrkitError)
