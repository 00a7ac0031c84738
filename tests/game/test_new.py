"""A drill that was drafted from an incident has its shape, and nothing that anybody wrote in it."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from irkit import wiring
from irkit.app import gameday
from irkit.cli import games, main, running
from irkit.engine import journal, library
from irkit.engine.home import Home
from irkit.game import drafting, facts, loader, reverting
from irkit.game.facts import Facts
from irkit.model.kube import SECRETS
from irkit.sandbox.catalog import Catalog

PLAYBOOK = library.builtin() / "compromised-pod.yaml"
VALUE = "canary-value-5150"


@pytest.fixture(scope="module")
def incident(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A whole response on a cluster with canaries in a Secret, in labels, annotations, the names of people; its home and id."""
    before, home = dict(os.environ), tmp_path_factory.mktemp("incident")
    try:
        with wiring.rehearsal("todo-app", 3, home / "box") as box:
            os.environ["IRKIT_HOME"] = str(home / "irkit")
            wiring.inside(box)
            namespace, pod = box.suspect
            box.store.patch(SECRETS, "backend-secret", {"data": {"PASSWORD": base64.b64encode(VALUE.encode()).decode()},
                                                        "metadata": {"annotations": {"owner": "canary-person-mallory"}}}, namespace)  # fmt: skip
            with running.rehearsed():
                words = ["respond", "compromised-pod", pod, "-n", namespace, "-p", f"image={box.scenario.images['patched']}", "--yes"]
                assert main.run(words) in (0, 5)
        yield home / "irkit", Home(home / "irkit").ids()[0]
    finally:
        os.environ.clear()
        os.environ.update(before)


def leaves(value: Any) -> Iterator[str]:
    """All texts of a document, names of fields too."""
    if isinstance(value, dict):
        yield from (text for key, each in value.items() for text in (*leaves(key), *leaves(each)))
    elif isinstance(value, list):
        yield from (text for each in value for text in leaves(each))
    elif isinstance(value, str):
        yield value


def terms() -> set[str]:
    """Kubernetes' own words and irkit's: kinds, resources, versions, fields, steps, commands."""
    served = [each.resource for versions in Catalog().groups().values() for kinds in versions.values() for each in kinds]
    known = {word for r in served for word in (r.kind, r.plural, r.group, r.version, r.api_version)}
    fields = {"apiVersion", "metadata", "namespace", "matchLabels", "podSelector", "labels", "selector", "template", "annotations", "containers",
              "containerPort", "ports", "protocol", "replicas", "image", "policyTypes", "Ingress", "Egress", "ingress", "egress",
              "serviceAccountName", "kube-system", "kubernetes"}  # fmt: skip
    ours = {"irkit", "irkit.dev/rotation", "generated", "respond", "check", "connections", "credential", "event", "names", "playbook", "rotated",
            "start", "suspect", "values", "nothing to do", "account", "evidence", "contain", "rotate", "token", "secret", "memory",
            "stage", "value"}  # fmt: skip
    return known | fields | ours | set(re.findall(r"[a-z]+(?:-[a-z]+)*", PLAYBOOK.read_text()))


def drafted(home: Path, identifier: str) -> str:
    state = Home(home).load(identifier)
    lines = journal.read(Home(home).journal(identifier)).lines
    return drafting.draft(facts.read(state, lines, Home(home).directory(identifier) / "bags"))


def test_no_text_of_the_journal_survives(incident):
    home, identifier = incident
    text, known = drafted(home, identifier), terms()
    raw = Home(home).journal(identifier).read_text().splitlines()
    lines = [json.loads(line) for line in raw]
    assert lines[0]["body"].pop("playbook_source") == PLAYBOOK.read_text()  # irkit's own words
    texts = {leaf for line in lines for leaf in leaves(line)}
    names = {word for leaf in texts for word in re.findall(r"\w[\w./@:-]*[-./@:\d][\w./@:-]*\w", leaf)}  # parts of sentences that look like names
    assert any("backend" in leaf for leaf in texts)
    assert any("oncall@example.com" in leaf for leaf in texts)
    survived = {leaf for leaf in texts | names if len(leaf) > 4 and leaf in text and leaf not in known}
    assert sorted(survived) == []


def test_no_text_of_the_bags_survives_that_names_or_opens_anything(incident):
    home, identifier = incident
    text = drafted(home, identifier)
    bags = Home(home).directory(identifier) / "bags"
    objects = [json.loads(file.read_bytes()) for file in bags.glob("*/data/**/*.json")]
    for found in objects:
        for each in found.get("items", [found]) if isinstance(found, dict) else ():
            meta = each.get("metadata") or {} if isinstance(each, dict) else {}
            for name in (meta.get("name", ""), meta.get("uid", ""), *(meta.get("annotations") or {}).values()):
                assert len(name) <= 4 or name in terms() or name not in text
    for secret in (VALUE, base64.b64encode(VALUE.encode()).decode(), "canary", "mallory", "todo", "registry.example", identifier):
        assert secret not in text


def test_it_has_the_shape_of_the_incident(incident):
    home, identifier = incident
    scenario = loader.loads(drafted(home, identifier).encode(), "draft.yaml")
    kinds = [m["kind"] for m in scenario.world.manifests]
    (workload,) = [m for m in scenario.world.manifests if m["kind"] == "Deployment" and m["metadata"]["name"] == "web"]
    assert workload["spec"]["replicas"] == len(Home(home).load(identifier).incident.target.siblings) > 1
    assert 1 <= kinds.count("NetworkPolicy") <= 5
    assert {goal.id for goal in scenario.goals} >= {"cut-off", "evidence", "keys", "token", "back-again", "kept-alive"}


def test_it_is_written_loads_and_is_a_drill(incident, tmp_path, monkeypatch, capsys):
    home, identifier = incident
    monkeypatch.setenv("IRKIT_HOME", str(home))
    file = tmp_path / "drill.yaml"
    assert main.run(["rehearse", "new", identifier, "-o", str(file)]) == 0
    assert str(file) in capsys.readouterr().err
    assert main.run(["rehearse", "check", str(file), "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["solvable"], found["discriminating"]) == (True, True)
    assert main.run(["rehearse", "new", identifier, "-o", str(file)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main.run(["rehearse", "new", "none-such"]) == 2
    assert "there is no incident none-such" in capsys.readouterr().err
    assert main.run(["rehearse", "new"]) == 0
    assert capsys.readouterr().out == file.read_text()


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "Job", "Pod"])
def test_every_kind_of_workload_makes_a_drill_that_can_be_mastered(kind):
    found = Facts(kind=kind, pods=2, keys=1, token=True, policies=({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"],
                                                                    "egress": [{}]},))  # fmt: skip
    scenario = loader.loads(drafting.draft(found).encode(), "draft.yaml")
    assert games.played(scenario, 0, "irkit", gameday.best(scenario)).score >= gameday.SOLVED
    assert games.played(scenario, 0, "nobody", ()).score == 0


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
@pytest.mark.parametrize("more", [{"gone": True}, {"host": True}, {"gitops": "argocd"}, {"gitops": "flux"}, {"gone": True, "gitops": "argocd"}],
                         ids=",".join)  # fmt: skip
def test_what_made_an_incident_hard_makes_its_drill_hard_and_it_can_be_mastered(kind, more):
    found = Facts(kind=kind, pods=3, keys=1, token=True, **more)
    scenario = loader.loads(drafting.draft(found).encode(), "draft.yaml")
    checked = gameday.check(scenario, lambda player, commands: games.played(scenario, 0, player, commands))
    assert checked.solvable, checked.best
    assert checked.discriminating, (checked.best, checked.nothing, checked.naive)


def facts_of(incident: tuple[Path, str], **target: Any) -> Facts:
    home, identifier = incident
    state, lines = Home(home).load(identifier), journal.read(Home(home).journal(identifier)).lines
    assert state.opened is not None
    known = replace(state.incident, target=replace(state.incident.target, **target))
    return facts.read(replace(state, opened=replace(state.opened, incident=known)), lines, home)


def test_a_pod_that_was_gone_and_one_on_its_node_s_network_are_carried_over(incident):
    found = facts_of(incident)
    assert (found.gone, found.host, found.gitops) == (False, False, "")
    assert facts_of(incident, gone=True).gone
    assert facts_of(incident, host_network=True).host


@pytest.mark.parametrize(("tool", "kind"), [("argocd", "Application"), ("flux", "Kustomization"), ("flux", "HelmRelease"), ("", "Deployment")])
def test_what_put_it_back_is_carried_over(tool, kind):
    assert reverting.tool(["Pod", kind]) == tool


PORTS = [{"port": "evil-name"}, {"port": True}, {"port": 99_999}, 3]
ODD: list[Any] = [
    None, 7, "text", [], {}, {"podSelector": 7}, {"podSelector": {"matchExpressions": [{"key": 1}]}},
    {"podSelector": None, "policyTypes": "Ingress", "ingress": 9, "egress": [7, None]},
    {"podSelector": {}, "policyTypes": ["evil; rm -rf", "Egress"], "egress": [{"to": "x", "ports": PORTS}]},
    {"podSelector": {}, "egress": [{"to": [{"ipBlock": "evil"}], "ports": {}}] * 99},
]  # fmt: skip


@pytest.mark.parametrize("odd", range(len(ODD)))
def test_a_bag_that_somebody_wrote_by_hand_does_no_harm(tmp_path, odd):
    folder = tmp_path / "1" / "data" / "namespaces" / "x"
    folder.mkdir(parents=True)
    (folder / "networkpolicies.json").write_text(json.dumps({"items": [{"spec": ODD[odd]}, ODD[odd]]}))
    policies = tuple(facts._policies(tmp_path, {"app": "x"}))
    text = drafting.draft(Facts(kind="Deployment", policies=policies))
    loader.loads(text.encode(), "draft.yaml")
    assert "evil" not in text


@pytest.mark.parametrize("content", [b"", b"[", b"\xff", b"[" * 99_999, b'{"items": 7}', b"7"])
def test_nor_does_one_that_is_no_json(tmp_path, content):
    folder = tmp_path / "1" / "data" / "namespaces" / "x"
    folder.mkdir(parents=True)
    (folder / "networkpolicies.json").write_bytes(content)
    assert list(facts._policies(tmp_path, {})) == []
