"""`irkit rehearse`, from outside: nothing in it is scripted, and what it ends with can be verified."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import bagit
import pytest

from irkit.cli import main


def rehearse(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "IRKIT_HOME": str(home), "KUBECONFIG": "/nowhere"}
    return subprocess.run(
        [sys.executable, "-m", "irkit", "rehearse", *words], env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )


def test_without_a_terminal_it_answers_itself_and_says_so(tmp_path):
    done = rehearse(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no terminal: every question is answered yes" in done.stderr
    assert "verdict: isolated" in done.stderr
    bundle = next(line.split()[-1] for line in done.stdout.splitlines() if line.strip().startswith("evidence"))
    assert bagit.Bag(bundle).validate()
    assert "Then try:" in done.stderr


@pytest.mark.parametrize(("seed", "code", "verdict"), [(0, 0, "isolated"), (1, 0, "isolated"), (3, 5, "leaks"), (7, 5, "leaks")])
def test_the_seed_decides_what_was_planted(tmp_path, seed, code, verdict):
    done = rehearse(tmp_path, "--seed", str(seed), "-o", "json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["exitCode"], document["isolation"]["verdict"]) == (code, code, verdict)
    assert bool(document["isolation"]["leaks"]) == (verdict == "leaks")


def test_names_and_siblings_change_with_the_seed_and_stay_with_it(tmp_path):
    def world(seed: int) -> tuple[str, int]:
        document = json.loads(rehearse(tmp_path, "--seed", str(seed), "-o", "json").stdout)
        step = next(s for s in document["steps"] if s["step"] == "collect")
        return document["target"]["name"], len(step["changes"])

    worlds = [world(seed) for seed in (0, 1, 2, 4)]
    assert world(0) == worlds[0]
    assert len({name for name, _ in worlds}) == len(worlds)
    assert len({count for _, count in worlds}) > 1


def test_an_unknown_scenario_is_one_sentence(tmp_path):
    done = rehearse(tmp_path, "--scenario", "todo-ap")
    assert done.returncode == 2
    assert "todo-app" in done.stderr


def test_a_second_rehearsal_is_another_cluster(tmp_path):
    first, second = (json.loads(rehearse(tmp_path, "-o", "json").stdout) for _ in range(2))
    assert first["target"]["name"] == second["target"]["name"]
    assert first["incident"] != second["incident"]
    assert second["evidence"]["bundle"] != first["evidence"]["bundle"]


@pytest.mark.parametrize(("words", "why"), [
    (["--ci", "--phase", "containment"], "--phase goes with a run of playbook compromised-pod, and says nothing beside --ci"),
    (["--ci", "--record", "game.jsonl"], "--record goes with a game, and says nothing beside --ci"),
    (["--list", "--speed", "10"], "--speed goes with --staging or a game, and says nothing beside --list"),
    (["--list", "--phase", "containment"], "--phase goes with a run of playbook compromised-pod, and says nothing beside --list"),
    (["--runbook", "--html", "card.html"], "--html goes with a game, and says nothing beside --runbook"),
    (["--staging", "shop", "--record", "game.jsonl"], "--record goes with a game, and says nothing beside --staging"),
    (["--join", "/nowhere", "--seed", "7"], "--seed goes with --ci, --runbook, --staging, a game or a run of playbook compromised-pod, and says"),
    (["--watch", "--keep-workload"], "--keep-workload goes with a run of playbook compromised-pod, and says nothing beside --watch"),
    (["--scenario", "first-contact", "--phase", "containment"], "--phase goes with a run of playbook compromised-pod, and says nothing in a game"),
    (["--yes", "--record", "game.jsonl"], "--record goes with a game, and says nothing in a run of playbook compromised-pod"),
    (["--junit", "junit.xml"], "--junit goes with --ci, and says nothing in a run of playbook compromised-pod"),
    (["--hard", "--scenario", "first-contact"], "--hard chooses the scenario, and --scenario does; choose one"),
])  # fmt: skip
def test_an_option_that_would_say_nothing_is_refused(words, why, capsys):
    assert main.run(["rehearse", *words]) == 2
    assert capsys.readouterr().err.startswith(f"2: {why}")
