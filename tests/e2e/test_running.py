"""The helpers of these tests do what they say, or what stands on them would prove nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.running import Answer, Irkit, dry, manager, what, writes


def test_a_wrong_exit_code_or_a_traceback_fails() -> None:
    assert Answer(3, "", "").ended(3).code == 3
    with pytest.raises(AssertionError, match="exit code 3, not 0"):
        Answer(3, "", "").ended(0)
    with pytest.raises(AssertionError):
        Answer(0, "", "Traceback (most recent call last):").ended(0)


def test_the_program_is_the_installed_one_and_has_its_own_home(tmp_path: Path) -> None:
    irkit = Irkit(tmp_path / "none", tmp_path)
    assert irkit.run("--version").ended(0).stdout.startswith("irkit ")
    assert irkit.json("incident", "list")["items"] == []


def test_a_terminal_is_a_terminal(tmp_path: Path) -> None:
    answer = Irkit(tmp_path / "none", tmp_path).asked("contain", "pod-x", answers=[])
    assert answer.ended(2).stdout.startswith("2: ")


def test_reads_reviews_and_trials_are_no_writes() -> None:
    def event(verb: str, resource: str, query: str = "") -> dict[str, object]:
        return {"verb": verb, "objectRef": {"resource": resource, "subresource": "scale"}, "requestURI": f"/x{query}"}

    trial, write = event("patch", "deployments", "?dryRun=All&fieldManager=irkit"), event("patch", "deployments", "?fieldManager=irkit")
    assert writes([event("get", "pods"), event("create", "selfsubjectaccessreviews"), trial, write]) == [write]
    assert [dry(trial), dry(write)] == [True, False]
    assert (what(write), manager(write), manager(event("patch", "pods"))) == ("patch deployments/scale", "irkit", "")
