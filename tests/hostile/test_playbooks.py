"""Playbooks that a stranger wrote: one clear sentence, 2, nothing run."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.hostile.world import World

HEAD = """apiVersion: irkit.dev/v1
kind: Playbook
metadata: {name: evil, title: Evil, severity: low, runbook: evil.md}
parameters:
  pod: {type: pod, required: true}
phases:
  containment:
"""
BAD = {
    "brackets": "[" * 1_000_000,
    "braces": "a: " + "{a: " * 250_000,
    "dashes": "- " * 500_000,
    "laughs": "a: &a [x, x]\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)),
    "an alias of itself": "a: &a [*a]",
    "a key twice": HEAD + "    - {id: a, step: quarantine, step: notify, with: {pod: '${pod}'}}\n",
    "a tag": "!!python/object/apply:os.system ['touch pwned']",
    "a template": HEAD + "    - {id: a, step: quarantine, with: {pod: '${pod.__class__.__mro__}'}}\n",
    "a format string": HEAD + "    - {id: a, step: notify, with: {message: '${pod.name!r:{pod}}'}}\n",
    "a shell": HEAD + "    - {id: a, step: notify, with: {message: '${$(id)}'}}\n",
    "an unbound name": HEAD + "    - {id: a, step: notify, with: {message: '${HOME}'}}\n",
    "control characters": HEAD + '    - {id: "a\\e[31m", step: "quarantine\\u202e", with: {"\\e]0;x\\a": 1}}\n',
    "raw control characters": HEAD + "    - {id: \x1b[31m, step: quarantine}\n",
    "a path as its runbook": HEAD.replace("evil.md", "../../../../etc/passwd") + "    - {id: a, step: quarantine, with: {pod: '${pod}'}}\n",
    "not UTF-8": "\udcff\udcfe",
    "NULs": "\x00" * 1000,
    "nothing": "",
    "two documents": HEAD + "    - {id: a, step: quarantine, with: {pod: '${pod}'}}\n---\n" + HEAD,
    "evidence destroyed": HEAD + "    - {id: a, step: scale-down, with: {workload: '${pod.workload}'}}\n",
    "a name with escapes": HEAD.replace("name: evil", 'name: "evil\\e[2J"') + "    - {id: a, step: quarantine, with: {pod: '${pod}'}}\n",
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_one_sentence_and_nothing_run(quiet: World, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "evil.yaml"
    file.write_bytes(BAD[kind].encode("utf-8", "surrogateescape"))
    began = time.monotonic()
    _, error = quiet.laptop.both("respond", str(file), quiet.pod, "-n", quiet.namespace, "--yes", code=2)
    assert "evil.yaml" in error["message"]
    assert "nothing was run" in error["message"]
    quiet.laptop.quick("playbook", "validate", str(file)).ended(2)
    quiet.laptop.quick("playbook", "rbac", str(file)).ended(2)
    assert time.monotonic() - began < 10
    assert not quiet.laptop.home.exists()
    assert quiet.writes() == []
    assert not Path("pwned").exists()


def test_what_is_no_file(quiet: World, tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    (tmp_path / "folder.yaml").mkdir()
    for name in ("loop.yaml", "folder.yaml", "none\x1b[31m.yaml"):
        quiet.laptop.both("respond", str(tmp_path / name), quiet.pod, code=2)
    for name in ("/dev/zero", "/dev/full"):
        quiet.laptop.quick("playbook", "validate", name).ended(2)


def test_a_parameter_is_text_and_never_evaluated(world: World, tmp_path: Path) -> None:
    file = tmp_path / "tell.yaml"
    (tmp_path / "evil.md").write_text("# By hand\n\n`tell`: tell them.\n")
    file.write_text(
        HEAD.replace("phases:", "  who: {type: string, required: true}\nphases:") + "    - {id: tell, step: notify, with: {message: 'to ${who}'}}\n"
    )
    config = tmp_path / "config.yaml"
    config.write_text("contacts: [{name: security, address: security@example.com}]")
    laptop = replace(world.laptop, environment={"IRKIT_CONFIG": str(config)})
    told = laptop.quick("respond", str(file), *world.target, "--yes", "-p", "who=${pod.name} {{7*7}} $(id) \x1b[31m%s{0}").ended(0)
    assert "to ${pod.name} {{7*7}} $(id) \\x1b[31m%s{0}" in told.said


def test_a_folder_of_playbooks_is_no_way_out(quiet: World, tmp_path: Path) -> None:
    (tmp_path / "collect-only.yaml").write_text("[")
    (tmp_path / "\x1b[31m.yaml").write_text("[")
    told = quiet.laptop.quick("playbook", "list", "--playbooks", str(tmp_path)).clean()
    assert "has mistakes" in told.said
    quiet.laptop.both("collect", *quiet.target, "--playbooks", str(tmp_path), code=2)
    quiet.laptop.quick("playbook", "show", "../../../etc/passwd", "--playbooks", str(tmp_path)).ended(2)
