"""`irkit rehearse --ci`: a user's own playbooks in every scenario that fits, as a build server reads it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from irkit.app import games_ci
from irkit.app.gameday import SOLVED
from irkit.engine import library
from irkit.game import junit, loader
from irkit.settings import Settings

# junit-10.xsd, which Jenkins publishes: by element, its attributes (those that must be there with a star) and its children
SHAPE = {
    "testsuites": ("name time tests failures disabled errors", "testsuite"),
    "testsuite": ("name* tests* failures errors time disabled skipped timestamp hostname id package", "properties testcase system-out system-err"),
    "testcase": ("name* assertions time classname status class file line", "skipped error failure system-out system-err"),
    "failure": ("type message", ""), "error": ("type message", ""), "skipped": ("type message", ""),
}  # fmt: skip
MINE = """\
apiVersion: irkit.dev/v1
kind: Playbook
metadata: {name: mine, title: Ours, severity: high, runbook: mine.md}
parameters:
  pod: {type: pod, required: true}
phases:
  containment:
    - {id: cut-network, step: quarantine, with: {pod: "${pod}"}}
"""


def assert_shaped(text: bytes) -> ET.Element:
    """It has the shape of the schema, and its counts are right."""
    root = ET.fromstring(text)
    assert root.tag == "testsuites"
    for node in root.iter():
        attributes, children = (set(words.split()) for words in SHAPE[node.tag])
        assert {name.removesuffix("*") for name in attributes} >= set(node.attrib)
        assert {name.removesuffix("*") for name in attributes if name.endswith("*")} <= set(node.attrib)
        assert {child.tag for child in node} <= children
        for name in {"tests", "failures", "errors", "skipped"} & set(node.attrib):
            kind = {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}[name]
            assert int(node.attrib[name]) == len(list(node.iter(kind)))
        for name in {"time"} & set(node.attrib):
            assert float(node.attrib[name]) >= 0
        if "timestamp" in node.attrib:
            datetime.strptime(node.attrib["timestamp"], "%Y-%m-%dT%H:%M:%S")  # noqa: DTZ007 -- as the schema has it
    return root


def own(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(text)
    (folder / f"{name}.md").write_text("# By hand\n\n## Before you start\n\n## Undo\n")
    return folder


def compromised(name: str) -> str:
    """The built-in playbook, under another name."""
    text = (library.builtin() / "compromised-pod.yaml").read_text()
    return text.replace("name: compromised-pod", f"name: {name}").replace("runbook: compromised-pod.md", f"runbook: {name}.md")


def environ(home: Path, scenarios: Path | None = None) -> dict[str, str]:
    (home / "tmp").mkdir(exist_ok=True)
    own = {"IRKIT_HOME": str(home), "KUBECONFIG": "/nowhere", "TMPDIR": str(home / "tmp")}
    return {**os.environ, **own, **({"IRKIT_SCENARIOS": str(scenarios)} if scenarios else {})}


def rehearse(home: Path, *words: str, scenarios: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "irkit", "rehearse", "--ci", *words], env=environ(home, scenarios), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=110)  # fmt: skip


def test_own_playbooks_play_where_their_target_is_under_attack(tmp_path):
    folder = own(tmp_path / "playbooks", "mine", MINE)
    own(folder, "whole", compromised("whole"))
    report = tmp_path / "junit.xml"
    done = rehearse(tmp_path, "--playbooks", str(folder), "--scenario", "first-contact", "--junit", str(report))
    assert done.returncode == 5, done.stderr
    suites = {suite.attrib["name"]: suite for suite in assert_shaped(report.read_bytes())}
    assert suites.keys() == {"mine", "whole"}, "the built-in ones are not theirs"
    (whole,), (mine,) = suites["whole"], suites["mine"]
    assert whole.attrib["name"] == "first-contact"
    assert list(whole) == []
    (failure,) = mine
    assert "evidence" in failure.attrib["message"]
    assert "irkit rotate backend-" in (failure.text or "")
    assert f"1 of them below {SOLVED} points" in done.stdout
    assert list((tmp_path / "tmp").iterdir()) == [], "nothing is left behind"


def test_a_document(tmp_path):
    folder = own(tmp_path / "playbooks", "whole", compromised("whole"))
    done = rehearse(tmp_path, "--playbooks", str(folder), "--scenario", "first-contact", "-o", "json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["kind"], found["passed"]) == (0, "RehearsalReport", True)
    assert [(r["playbook"], r["scenario"], r["score"]) for r in found["rounds"]] == [("whole", "first-contact", 100)]


@pytest.mark.parametrize("where", ["playbook", "scenario"])
def test_mistakes_are_all_said_and_nothing_is_played(tmp_path, where):
    folder = own(tmp_path / "playbooks", "mine", MINE)
    scenarios = tmp_path / "scenarios"
    scenarios.mkdir()
    if where == "playbook":
        own(folder, "bad", MINE.replace("quarantine", "quarantin").replace("high", "hihg"))
    else:
        (scenarios / "bad.yaml").write_text("apiVersion: irkit.dev/v1\nkind: Scenario\nmetadata: {name: bad}\n")
    report = tmp_path / "junit.xml"
    done = rehearse(tmp_path, "--playbooks", str(folder), "--junit", str(report), scenarios=scenarios)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.count("bad.yaml:") >= 2
    assert "nothing was run" in done.stderr
    (suite,) = assert_shaped(report.read_bytes())
    assert suite.attrib["errors"] == "1"


@pytest.mark.parametrize(("words", "said"), [
    (("--playbooks", "empty"), "there are no playbooks in empty"),
    (("--playbooks", "missing"), "missing"),
    (("--junit", "missing/junit.xml"), "can't be written"),
    (("--scenario", "first-contract"), "did you mean first-contact?"),
])  # fmt: skip
def test_what_can_not_be_is_one_sentence(tmp_path, words, said, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    done = rehearse(tmp_path, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_what_no_scenario_knows_is_not_played_and_said(tmp_path):
    asking = MINE.replace("required: true}", "required: true}\n  ticket: {type: string, required: true}")
    found = planned(own(tmp_path / "playbooks", "mine", asking))
    assert all("ticket" in one.why for one in found)
    verdict = games_ci.Verdict(playbook="mine", scenario="first-contact", score=None, skipped=found[0].why)
    assert verdict.passed
    assert_shaped(junit.document("x", games_ci.suites([verdict]), datetime.now(UTC)))


def planned(folder: Path) -> list[games_ci.Round]:
    settings = Settings(playbooks=folder)
    return games_ci.rounds(games_ci.playbooks(settings), [loader.find("first-contact")], settings)


@pytest.mark.parametrize(("kind", "target"), [("workload", "${workload}"), ("secret", None), ("node", None), ("namespace", None)])
def test_a_playbook_for_another_kind_of_target_does_not_play(tmp_path, kind, target):
    """A scenario says what is under attack by the playbooks that it names."""
    text = MINE.replace("type: pod", f"type: {kind}").replace('step: quarantine, with: {pod: "${pod}"}', "step: notify, with: {message: hello}")
    folder = own(tmp_path / "playbooks", "mine", text)
    own(folder, "whole", compromised("whole"))
    assert [one.playbook for one in planned(folder)] == ["whole"]


def test_a_playbook_of_the_same_name_plays_in_place_of_the_built_in_one(tmp_path):
    text = (library.builtin() / "compromised-pod.yaml").read_text()
    (one,) = planned(own(tmp_path / "play books", "compromised-pod", text))
    assert one.commands == ("irkit respond compromised-pod ${suspect} -n ${namespace} -p image=${image} --yes",)
    assert one.folder == f"{tmp_path}/play books"


def test_a_playbook_that_is_named_for_a_part_is_told_and_does_not_fail():
    settings, scenarios = Settings(), [loader.load(path) for path in loader.listed().values()]
    found = {(one.playbook, one.scenario): one for one in games_ci.rounds(games_ci.playbooks(settings), scenarios, settings)}
    assert found["isolate-only", "look-alike"].part
    assert not found["isolate-only", "cut-one"].part
    low = games_ci.Verdict(playbook="isolate-only", scenario="look-alike", score=30, part=True)
    assert low.passed
    assert not games_ci.Verdict(playbook="isolate-only", scenario="cut-one", score=30).passed
    (case,) = games_ci.suites([low])[0].cases
    assert (case.outcome, case.message) == ("skipped", "30 of 100 points, 80 are asked for; it is there only for a part of the answer")


def test_a_playbook_of_ones_own_replaces_the_built_in_one_wherever_it_is_typed(tmp_path):
    """This one has the name of the built-in one, and only labels: `irkit contain` in a best response must come to no more."""
    weak = (library.builtin() / "isolate-only.yaml").read_text().replace("isolate-only", "compromised-pod")
    folder = own(tmp_path / "playbooks", "compromised-pod", weak)
    done = rehearse(tmp_path, "--playbooks", str(folder), "--scenario", "first-ordinal", "-o", "json")
    (found,) = json.loads(done.stdout)["rounds"]
    assert done.returncode == 5
    assert found["score"] < SOLVED


HOSTILE = "a\x00b\x1b[31m<&\"'>]]>\ud800\ufffe\uffff\u202e\n{}"


def test_hostile_text_stays_text():
    cases = [junit.Case(HOSTILE, 1.5, outcome, HOSTILE, HOSTILE) for outcome in ("passed", "failure", "error", "skipped")]
    text = junit.document(HOSTILE, [junit.Suite(HOSTILE, cases)], datetime.now(UTC))
    root = assert_shaped(text)
    assert not {c for c in text.decode() if ord(c) < 32 and c != "\n"}
    assert "<&\"'>]]>" in root[0].attrib["name"]
    assert "\u202e" not in text.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_it_leaves_no_process_and_no_directory(tmp_path, number):
    folder = tmp_path / "playbooks"
    for n in range(12):
        own(folder, f"mine-{n}", compromised(f"mine-{n}"))
    words = [sys.executable, "-m", "irkit", "rehearse", "--ci", "--playbooks", str(folder)]
    with subprocess.Popen(words, env=environ(tmp_path), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          start_new_session=True) as run:  # fmt: skip
        assert run.stdout is not None
        assert run.stdout.readline()  # the first round is over, others are played
        run.send_signal(number)
        _, err = run.communicate(timeout=30)
    assert run.returncode == (130 if number != signal.SIGKILL else -9)
    assert "Traceback" not in err
    until = time.monotonic() + 20
    while (left := group(run.pid)) and time.monotonic() < until:
        time.sleep(0.1)
    assert left == []
    if number == signal.SIGKILL:  # nobody was left to tidy up: the next one does
        rehearse(tmp_path, "--playbooks", str(own(tmp_path / "one", "mine", MINE)), "--scenario", "first-contact")
    assert list((tmp_path / "tmp").iterdir()) == []


def group(leader: int) -> list[str]:
    """The processes of a session that are there."""
    done = subprocess.run(["ps", "-o", "pid=,args=", "-s", str(leader)], capture_output=True, text=True)
    return done.stdout.splitlines()


@pytest.mark.slow
def test_all_built_in_playbooks_in_all_scenarios_take_less_than_a_minute(tmp_path):
    began, report = time.monotonic(), tmp_path / "junit.xml"
    done = rehearse(tmp_path, "--junit", str(report))
    assert time.monotonic() - began < 60
    assert done.returncode == 0, done.stdout + done.stderr
    root = assert_shaped(report.read_bytes())
    played = {(suite.attrib["name"], case.attrib["name"]) for suite in root for case in suite}
    named = {(name, s.name) for s in map(loader.load, loader.listed().values()) for name in s.playbooks}
    assert played == named
