"""Games on a real cluster are played in a namespace of their own, with the rights that are needed, and never on production."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from irkit.app.staging.ledger import Ledger
from tests.controlplane.running import Running
from tests.e2e.running import Irkit, manager, writes
from tests.game.staging import COMMAND, Game, called, games_of, typed

Obj = dict[str, Any]
DOCS = Path(__file__).parents[2] / "docs" / "reference" / "staging.md"


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
    assert Path(game.exports["IRKIT_CONFIG"]).read_text() == "{}\n", "whom the user's settings tell and what they rotate is no part of a game"
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
