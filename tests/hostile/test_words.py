"""Words of the command line that no honest person types: one sentence, 2, and nothing is touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.hostile.world import EVIL, World

ESC = "a\x1b[2Jb\u202e"
NAMES = ["../../etc/passwd", "..", "a/../b", "pod/../../x", "x" * 300, ESC, "Backend", "-", "a b", "a\tb", "${HOME}", "%2e%2e", "pod/", "/", "\udcff"]


@pytest.mark.parametrize("command", ["contain", "collect", "verify"])
@pytest.mark.parametrize("name", NAMES)
def test_what_can_not_be_a_name(quiet: World, command: str, name: str) -> None:
    told, error = quiet.laptop.both(command, name, "-n", quiet.namespace, code=2)
    assert "can't be the name of" in error["message"] or "is no kind that" in error["message"]
    assert len(told.complaint) < 400
    assert not quiet.laptop.home.exists()


@pytest.mark.parametrize(
    "words",
    [
        ("contain", "{pod}", "-n", ESC),
        ("contain", "{pod}", "-n", "../kube-system"),
        ("contain", "-l", ESC),
        ("contain", "-l", "a in (b"),
        ("verify", "{pod}", "--context", ESC),
        ("collect", "{pod}", "--take", ESC),
        ("respond", ESC),
        ("respond", "compromised-pod", "{pod}", "-p", ESC),
        ("respond", "compromised-pod", "{pod}", "-p", f"x={ESC}"),
        ("respond", "compromised-pod", "{pod}", "--phase", ESC),
        ("contain", "{pod}", "--playbooks", ESC),
        ("resume", ESC),
        ("resume", "../../../etc"),
        ("lift", ESC),
        ("lift", "../.."),
        ("incident", "show", ESC),
        ("incident", "show", "../.."),
        ("bundle", "show", ESC),
        ("bundle", "verify", "no/such/\x1b[31m"),
        ("contain", "{pod}", "--kubeconfig", f"/no/such/{ESC}"),
    ],
)
def test_what_leads_nowhere(quiet: World, words: tuple[str, ...]) -> None:
    quiet.laptop.both(*(w.format(pod=quiet.pod) for w in words), code=2)
    assert not (quiet.laptop.home / "incidents").exists()
    assert quiet.writes() == []


@pytest.mark.parametrize(
    "words",
    [
        ("contain", "x", "-o", "yaml"),
        ("contain", "x", "--frobnicate"),
        ("contain", f"--{ESC}"),
        (ESC,),
        ("--frobnicate",),
        ("contain", "x", "y"),
        ("lift", "x", "--pod", ESC),
        ("contain",),
        ("incident",),
        ("incident", ESC),
        ("rehearse", "--seed", ESC),
        ("sandbox", "--scenario", ESC),
        ("playbook", "show", ESC),
        ("playbook", "rbac", ESC),
        ("playbook", "list", "-o", ESC),
        ("doctor", "-n"),
    ],
)
def test_what_is_no_command_line(quiet: World, words: tuple[str, ...]) -> None:
    told = quiet.laptop.quick(*words).ended(2)
    assert told.stdout == b"" or words == ("incident",)
    assert told.complaint or words == ("incident",)
    assert told.stderr.count(b"next:") <= 1
    assert not quiet.laptop.home.exists()


@pytest.mark.parametrize(
    "words", [("contain", "x", "--frobnicate"), ("contain",), ("nonsense",), ("lift", "x", "--pod", "eat"), ("playbook", "show", "nonsense")]
)
def test_a_script_gets_one_document_for_a_mistake_too(quiet: World, words: tuple[str, ...]) -> None:
    told = quiet.laptop.quick(*words, "-o", "json").ended(2)
    assert told.document["error"]["code"] == 2
    assert told.stderr == b""


@pytest.mark.parametrize(
    "text",
    [
        '"\\e[31mx": 1',
        "- 1",
        "contacts: {a: b}",
        "contacts: [{name: \x1b[31m, address: b}]",
        "retry-budget: &a [*a]",
        "protected-namespaces: kube-system",
        "playbooks: {a: b}",
        "concurrency: 0",
        "concurrency: 100000",
        "request-timeout: 0",
        "request-timeout: .nan",
        "request-timeout: .inf",
        "retry-budget: -1",
        "approval-lifetime: [1",
        "context: [a]",
    ],
)
def test_settings_that_are_none(quiet: World, tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    _, error = replace(quiet.laptop, environment={"IRKIT_CONFIG": str(file)}).both("contain", *quiet.target, code=2)
    assert str(file) in error["message"] or "settings: " in error["message"]


def test_settings_that_are_not_there(quiet: World) -> None:
    replace(quiet.laptop, environment={"IRKIT_CONFIG": "/no/such/" + ESC}).both("contain", *quiet.target, code=2)


def test_a_reason_and_a_contact_may_hold_anything(world: World, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"contacts": [{"name": EVIL, "address": EVIL}]}))
    laptop = replace(world.laptop, environment={"IRKIT_CONFIG": str(file)})
    laptop.run("contain", *world.target, "--yes", "--without-evidence", EVIL.replace("\x00", "")).ended(0)
    for words in (("incident", "show"), ("incident", "list"), ("verify",), ("bundle", "show"), ("lift", "--yes")):
        laptop.run(*words).ended(0)
